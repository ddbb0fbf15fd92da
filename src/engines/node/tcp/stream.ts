import type { TcpDestination } from "../../../model/tcp.ts";
import { ClientWriter } from "../client-writer.ts";
import type { Timed } from "../deadlines.ts";
import type { Plan } from "../plan.ts";
import type { OpenConnection, Serving } from "../serving.ts";
import type { TcpRouteStats } from "../stats.ts";
import type { UpstreamFailure } from "../upstream/classify.ts";
import type { UpstreamCluster } from "../upstream/cluster.ts";
import { resetSocket, type UpstreamConnection, type UpstreamUser } from "../upstream/connection.ts";
import { chooseByWeight } from "../weighted-choice.ts";
import type { AcceptedStream } from "./listener.ts";
import { recordStream, type StreamEnd, type StreamFailure } from "./record.ts";

/**
 * One client's connection to one upstream of its own, byte by byte. Each side is read only as fast as the other takes it,
 * and ends by itself; what is cut is reset, so that nobody takes a part for the whole.
 */
export class TcpStream implements UpstreamUser, OpenConnection, Timed {
  deadline: number = Number.POSITIVE_INFINITY;
  readonly accepted: AcceptedStream;
  readonly serving: Serving;
  readonly plan: Plan;
  readonly destination: TcpDestination;
  /** `performance.now()`. */
  readonly startedAt: number = performance.now();
  firstByteAt = 0;
  bytesUp = 0;
  bytesDown = 0;
  /** Once it is there; kept for the record when it has gone. */
  upstream: UpstreamConnection | null = null;
  readonly #idleMs: number;
  readonly #writer: ClientWriter;
  readonly #stats: TcpRouteStats;
  #cluster: UpstreamCluster | null = null;
  #clientEnded = false;
  #clientClosed = false;
  #upstreamEnded = false;
  #upstreamClosed = false;
  /** The upstream is gone, and the client still has something to read. */
  #broken: StreamFailure | null = null;
  #over = false;
  #retired = false;

  constructor(accepted: AcceptedStream, serving: Serving) {
    this.accepted = accepted;
    this.serving = serving;
    this.plan = serving.plan;
    this.destination = chooseByWeight(accepted.chain.destinations);
    const { action } = this.destination;
    const idleMs = (action.kind === "forward" ? action.idleTimeoutMs : undefined) ?? serving.limits.tcpIdleMs;
    this.#idleMs = idleMs === 0 ? Number.POSITIVE_INFINITY : idleMs;
    const { socket } = accepted;
    this.#writer = new ClientWriter(socket, () => this.upstream?.resume());
    // An end that nothing precedes is told at once, also while nobody reads.
    socket.on("end", () => this.#onClientEnd());
    socket.on("error", (error: Error) => this.#onClientLost(error.message));
    socket.on("close", () => this.#onClientClose());
    serving.deadlines.join(this);
    serving.connections.add(this);
    serving.stats.connectionsOpen++;
    serving.stats.connectionsTotal++;
    this.#stats = serving.stats.tcpRoute(this.destination.name);
    this.#stats.open++;
    this.#begin();
  }

  onUpstreamReady(upstream: UpstreamConnection): void {
    const { socket } = this.accepted;
    this.upstream = upstream;
    upstream.allowHalfOpen();
    this.#touch();
    socket.on("data", (chunk: Buffer) => this.#onClientData(chunk));
    if (this.#clientEnded) upstream.endWriting();
  }

  onUpstreamFailed(failure: UpstreamFailure, address: string | null): void {
    this.#fail({ ...failure, address });
  }

  onUpstreamData(chunk: Buffer): void {
    if (this.firstByteAt === 0) this.firstByteAt = performance.now();
    this.bytesDown += chunk.length;
    this.#stats.bytesDown += chunk.length;
    this.#touch();
    if (!this.#writer.bytes(chunk)) this.upstream?.pause();
  }

  onUpstreamDrain(): void {
    this.accepted.socket.resume();
  }

  onUpstreamEnd(): void {
    this.#upstreamEnded = true;
    this.#touch();
    this.#writer.flush();
    this.accepted.socket.end();
  }

  onUpstreamClosed(lost: UpstreamFailure): void {
    this.#upstreamClosed = true;
    const failure = { ...lost, address: this.upstream?.address ?? null };
    if (this.#upstreamEnded && this.#clientEnded) {
      if (this.#clientClosed) this.#finish("completed");
    } else if (this.#upstreamEnded && !this.#over) {
      // It has said all that it had to say, and the client may have that. What the client still says is nobody's any more,
      // and is read all the same: a closed socket would answer it with a reset, which takes back what is not read yet.
      this.#broken = failure;
      this.deadline = performance.now() + LINGER_MS;
      this.accepted.socket.resume();
    } else this.#fail(failure);
  }

  /** Shutdown: it may go on until the deadline, which is a matter of `destroy`. */
  drain(): void {}

  /** The client is no longer accepted: it may go on until `destroy` as well. */
  retire(): void {
    this.#retired = true;
  }

  /** The deadline of a shutdown or of a client's retirement, or the end of the engine. */
  destroy(): void {
    this.#cut(this.#retired ? "refused" : "drained");
  }

  onDeadline(): void {
    if (this.#broken !== null) this.#fail(this.#broken);
    else if (this.upstream !== null) this.#cut("idle");
    else {
      const cause = `no connection to ${this.#cluster?.config.name} became free in time`;
      this.#fail({ reason: "overloaded", cause, address: null });
    }
  }

  #begin(): void {
    const { action } = this.destination;
    if (action.kind === "fail") {
      this.#fail({ reason: "route_fails_closed", cause: action.code, address: null });
      return;
    }
    const cluster = this.plan.clusters.get(action.cluster);
    if (cluster === undefined) {
      this.#fail({ reason: "route_fails_closed", cause: `no cluster ${action.cluster}`, address: null });
      return;
    }
    this.#cluster = cluster;
    // One connect timeout to come to its turn where connections are limited, and one to connect.
    this.deadline = this.startedAt + 2 * cluster.config.connectTimeoutMs;
    cluster.acquire(this, true);
  }

  #onClientData(chunk: Buffer): void {
    if (this.#broken !== null) return;
    this.bytesUp += chunk.length;
    this.#stats.bytesUp += chunk.length;
    this.#touch();
    if (this.upstream?.writeBytes(chunk) === false) this.accepted.socket.pause();
  }

  #onClientEnd(): void {
    this.#clientEnded = true;
    if (this.upstream === null || this.#broken !== null) return;
    this.#touch();
    this.upstream.endWriting();
  }

  #onClientLost(cause: string): void {
    this.#fail(
      this.#broken ?? { reason: "client_disconnected", cause, address: this.upstream?.address ?? null },
    );
  }

  #onClientClose(): void {
    this.#clientClosed = true;
    if (this.#over) return;
    if (this.#broken !== null || !this.#clientEnded || !this.#upstreamEnded)
      this.#onClientLost("connection closed");
    // Else the upstream may still have something to take.
    else if (this.#upstreamClosed) this.#finish("completed");
  }

  #touch(): void {
    this.deadline = performance.now() + this.#idleMs;
  }

  #fail(failure: StreamFailure): void {
    if (this.#over) return;
    this.#finish("failed", failure);
    this.#abandon();
  }

  #cut(end: StreamEnd): void {
    if (this.#over) return;
    this.#finish(end);
    this.#abandon();
  }

  /** Both sides learn that this is no orderly end. */
  #abandon(): void {
    this.#writer.close();
    this.#cluster?.cancel(this);
    if (!this.#upstreamClosed) this.upstream?.reset();
    if (!this.#clientClosed) resetSocket(this.accepted.socket);
  }

  #finish(end: StreamEnd, failure: StreamFailure | null = null): void {
    if (this.#over) return;
    this.#over = true;
    this.#writer.close();
    const { serving } = this;
    serving.deadlines.leave(this);
    serving.connections.delete(this);
    serving.stats.connectionsOpen--;
    recordStream(this, end, failure);
  }
}

/** How long a client may take to read the last of an upstream that is gone. */
const LINGER_MS = 10_000;

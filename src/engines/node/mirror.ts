import type { ForwardAction, Mirror } from "../../model/route.ts";
import { BodyCopy } from "./body-copy.ts";
import type { Timed } from "./deadlines.ts";
import { BodyReader } from "./http1/body.ts";
import { HeaderEditor } from "./http1/header-changes.ts";
import type { RequestHead } from "./http1/request-head.ts";
import type { Plan } from "./plan.ts";
import type { Serving } from "./serving.ts";
import type { UpstreamCluster } from "./upstream/cluster.ts";
import type { UpstreamFailure } from "./upstream/classify.ts";
import { CLEAN_END, type UpstreamConnection, type UpstreamUser } from "./upstream/connection.ts";
import { ANY_HOST } from "./upstream/hosts.ts";

/** A copy that is to be sent once the request's body is complete. */
export class PendingCopy {
  readonly body: BodyCopy = new BodyCopy();
  readonly #serving: Serving;
  readonly #cluster: UpstreamCluster;
  readonly #action: ForwardAction;

  private constructor(serving: Serving, cluster: UpstreamCluster, action: ForwardAction) {
    this.#serving = serving;
    this.#cluster = cluster;
    this.#action = action;
  }

  /** Null: this request is not one of the mirror's share, or cannot be copied. */
  static of(mirror: Mirror, head: RequestHead, plan: Plan, serving: Serving): PendingCopy | null {
    if (head.upgrade !== "" || Math.random() * 100 >= mirror.percent) return null;
    const { action } = mirror;
    const cluster = action.kind === "fail" ? undefined : plan.clusters.get(action.cluster);
    if (action.kind === "fail" || cluster === undefined) {
      serving.stats.mirrorFailures++;
      return null;
    }
    return new PendingCopy(serving, cluster, action);
  }

  /** `head` is the request's as it goes upstream. */
  send(head: string): void {
    if (this.body.whole)
      new MirroredRequest(
        this.#serving,
        this.#cluster,
        this.#action,
        shadowHead(head, this.#action),
        this.body.bytes(),
      );
    else this.#serving.stats.mirrorsTooLarge++;
  }
}

/**
 * As in Envoy, the copy says in its Host what it is. What Linkerd routes by is the copy's own, or the request itself would
 * come twice to whom it was for.
 */
function shadowHead(head: string, { requestHeaders }: ForwardAction): string {
  const own = (requestHeaders?.add ?? []).filter(({ name }) => name === LINKERD);
  const routed = new HeaderEditor({ remove: [LINKERD], add: own }).edit(head);
  return routed.replace(/^(host:[ \t]*)(\[[^\]]*\]|[^:\r\n]*)/im, "$1$2-shadow");
}

const LINKERD = "l5d-dst-override";

/** A copy under way: its response is read and thrown away, and whatever becomes of it is counted, no more. */
class MirroredRequest implements UpstreamUser, Timed {
  deadline: number;
  readonly #serving: Serving;
  readonly #cluster: UpstreamCluster;
  readonly #head: string;
  readonly #isHead: boolean;
  readonly #body: Buffer | null;
  readonly #response = new BodyReader();
  #upstream: UpstreamConnection | null = null;
  #partialHead: Buffer | null = null;
  #begun = false;
  #reusable = false;
  #keepAliveSeconds: number | null = null;
  #over = false;

  constructor(
    serving: Serving,
    cluster: UpstreamCluster,
    action: ForwardAction,
    head: string,
    body: Buffer | null,
  ) {
    this.#serving = serving;
    this.#cluster = cluster;
    this.#head = head;
    this.#isHead = head.startsWith("HEAD ");
    this.#body = body;
    this.deadline = performance.now() + (action.timeoutMs || serving.limits.bodyTimeoutMs);
    serving.deadlines.join(this);
    cluster.acquire(this, false, action.priority === "high" ? { ...ANY_HOST, priority: "high" } : ANY_HOST);
  }

  onUpstreamReady(upstream: UpstreamConnection): void {
    this.#upstream = upstream;
    this.#serving.stats.mirrorsSent++;
    upstream.writeMessage(this.#head, this.#body);
  }

  onUpstreamFailed(): void {
    this.#end(false);
  }

  onUpstreamData(chunk: Buffer): void {
    if (!this.#begun) this.#readHead(chunk);
    else this.#readBody(chunk, 0);
  }

  onUpstreamDrain(): void {}

  onUpstreamClosed({ cause }: UpstreamFailure): void {
    this.#upstream = null;
    this.#end(this.#begun && this.#response.untilClose && cause === CLEAN_END);
  }

  onDeadline(): void {
    this.#end(false);
  }

  #readHead(chunk: Buffer): void {
    const { responseHead: head, limits } = this.#serving;
    const bytes = this.#partialHead === null ? chunk : Buffer.concat([this.#partialHead, chunk]);
    this.#partialHead = null;
    for (let from = 0; ; ) {
      const blank = bytes.indexOf(HEAD_END, from);
      if (blank === -1) {
        if (bytes.length - from > limits.maxHeadBytes) this.#end(false);
        else this.#partialHead = Buffer.from(bytes.subarray(from));
        return;
      }
      if (head.parse(bytes, from, blank + 2) !== null || head.status === 101) {
        this.#end(false);
        return;
      }
      from = blank + 4;
      if (head.status < 200) continue;
      this.#begun = true;
      this.#response.startResponse(head, this.#isHead);
      this.#reusable = !head.close && !this.#response.untilClose;
      this.#keepAliveSeconds = head.keepAliveSeconds;
      this.#readBody(bytes, from);
      return;
    }
  }

  #readBody(bytes: Buffer, from: number): void {
    const end = this.#response.read(bytes, from);
    if (end === -1) this.#end(false);
    else if (this.#response.done) {
      if (end < bytes.length) this.#reusable = false;
      this.#end(true);
    }
  }

  #end(complete: boolean): void {
    if (this.#over) return;
    this.#over = true;
    const { deadlines, stats } = this.#serving;
    const upstream = this.#upstream;
    this.#upstream = null;
    deadlines.leave(this);
    if (!complete) stats.mirrorFailures++;
    if (upstream === null) this.#cluster.cancel(this);
    else if (complete && this.#reusable) upstream.release(this.#keepAliveSeconds);
    else upstream.destroy();
  }
}

const HEAD_END = Buffer.from("\r\n\r\n");

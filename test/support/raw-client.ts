import { connect, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";

export interface RawAnswer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** Sends bytes as they are and returns everything that comes until the peer closes, or there is enough. */
export function exchangeBytes(
  port: number,
  bytes: string | readonly string[],
  options: {
    tls?: ConnectionOptions;
    /** Nobody need close, or say enough: what has come by then is returned. Absent: it must come to an end. */
    silentMs?: number;
    until?: RegExp;
    /** That all has come that is to come: what else comes within a moment is taken, a close is not waited for. */
    isEnough?: (received: string) => boolean;
    /** Told why nothing more was waited for: `time`, `enough`, `end`, `close`, or an error's code. */
    onFinished?: (why: string) => void;
  } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: Socket =
      options.tls === undefined
        ? connect(port, "127.0.0.1")
        : connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options.tls });
    let received = "";
    const finish = (why: string): void => {
      clearTimeout(timer);
      options.onFinished?.(why);
      socket.destroy();
      resolve(received);
    };
    const { silentMs } = options;
    const timer = setTimeout(() => {
      if (silentMs === undefined) reject(new Error(`port ${port}: no end of ${JSON.stringify(received)}`));
      finish("time");
    }, silentMs ?? LONGEST_MS);
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString("latin1");
      if (options.until?.test(received) === true) finish("enough");
      if (options.isEnough?.(received) === true) setTimeout(finish, MOMENT_MS, "enough");
    });
    socket.on("error", (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
    socket.on("end", () => finish("end"));
    socket.on("close", () => finish("close"));
    socket.on(options.tls === undefined ? "connect" : "secureConnect", async () => {
      for (const piece of typeof bytes === "string" ? [bytes] : bytes) {
        socket.write(piece, "latin1");
        await new Promise((done) => setTimeout(done, 5));
      }
    });
  });
}

const MOMENT_MS = 50;
/** Machines may be full of other work. */
const LONGEST_MS = 30_000;

/** The responses in some bytes, sized and bodiless ones. */
export function parseAnswers(text: string): RawAnswer[] {
  const answers: RawAnswer[] = [];
  let rest = text;
  while (rest.startsWith("HTTP/1.1 ")) {
    const blank = rest.indexOf("\r\n\r\n");
    if (blank === -1) break;
    const head = rest.slice(0, blank);
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
    answers.push({
      status: Number(head.slice(9, 12)),
      head,
      body: rest.slice(blank + 4, blank + 4 + length),
    });
    rest = rest.slice(blank + 4 + length);
  }
  return answers;
}

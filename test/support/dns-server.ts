import { createSocket, type RemoteInfo } from "node:dgram";
import { isIP } from "node:net";

/** Addresses, or NXDOMAIN, or nothing at all. */
export type DnsAnswer = readonly string[] | "denied" | "silent";

/** A name server on loopback that knows a few names (RFC 1035, UDP), for proxies that ask no function of ours. */
export interface DnsServer {
  readonly address: string;
  readonly port: number;
  /** Addresses by name in lower case; may be changed while it runs. Names that are not there do not exist. */
  readonly names: Map<string, readonly string[]>;
  /** Names that are not answered for at all; each question about them, by the clock of `performance.now()`. */
  readonly silent: Map<string, number[]>;
  /** From now on. */
  answer(name: string, answer: DnsAnswer): void;
  close(): Promise<void>;
}

export async function startDnsServer(
  names: Readonly<Record<string, readonly string[]>> = {},
): Promise<DnsServer> {
  const known = new Map(Object.entries(names));
  const silent = new Map<string, number[]>();
  const socket = createSocket("udp4");
  socket.on("message", (query: Buffer, from: RemoteInfo) => {
    const unanswered = silent.get(query.length < HEADER_BYTES ? "" : (readQuestion(query)?.name ?? ""));
    if (unanswered !== undefined) {
      unanswered.push(performance.now());
      return;
    }
    const answer = answerTo(query, known);
    if (answer !== null) socket.send(answer, from.port, from.address);
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(0, "127.0.0.1", resolve);
  });
  return {
    address: "127.0.0.1",
    port: socket.address().port,
    names: known,
    silent,
    answer(name, answer) {
      known.delete(name);
      silent.delete(name);
      if (answer === "silent") silent.set(name, []);
      else if (answer !== "denied") known.set(name, answer);
    },
    close: () => new Promise((resolve) => void socket.close(() => resolve())),
  };
}

const HEADER_BYTES = 12;
const TYPES: Readonly<Record<number, 4 | 6>> = { 1: 4, 28: 6 };
/** Short, so that a change of the names is seen while a test waits. */
const TTL_SECONDS = 1;

function answerTo(query: Buffer, names: DnsServer["names"]): Buffer | null {
  if (query.length < HEADER_BYTES || query.readUInt16BE(4) !== 1) return null;
  const question = readQuestion(query);
  if (question === null) return null;
  const addresses = names.get(question.name);
  const family = TYPES[question.type];
  const records = (addresses ?? [])
    .filter((address) => isIP(address) === family)
    .map((address) => record(question.type, address));
  const header = Buffer.from(query.subarray(0, HEADER_BYTES));
  // A response, authoritative, with the query's opcode and RD; NXDOMAIN where nobody has the name.
  header.writeUInt16BE(0x8400 | (query.readUInt16BE(2) & 0x7900) | (addresses === undefined ? 3 : 0), 2);
  header.writeUInt16BE(records.length, 6);
  header.writeUInt32BE(0, 8);
  return Buffer.concat([header, query.subarray(HEADER_BYTES, question.end), ...records]);
}

function readQuestion(query: Buffer): { name: string; type: number; end: number } | null {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (;;) {
    const length = query[at];
    if (length === undefined || length > 63 || at + 1 + length > query.length) return null;
    at++;
    if (length === 0) break;
    labels.push(query.toString("latin1", at, at + length).toLowerCase());
    at += length;
  }
  if (at + 4 > query.length) return null;
  return { name: labels.join("."), type: query.readUInt16BE(at), end: at + 4 };
}

function record(type: number, address: string): Buffer {
  const data = bytesOf(address);
  const head = Buffer.alloc(12);
  // The name is the question's.
  head.writeUInt16BE(0xc000 | HEADER_BYTES, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(TTL_SECONDS, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function bytesOf(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split(".").map(Number));
  // `::` stands for the groups that are missing.
  const [left = "", right] = address.split("::");
  const groups = (text: string | undefined): string[] =>
    text === undefined || text === "" ? [] : text.split(":");
  const [before, after] = [groups(left), groups(right)];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => "0");
  return Buffer.from([...before, ...zeros, ...after].map((each) => each.padStart(4, "0")).join(""), "hex");
}

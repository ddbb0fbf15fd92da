import { parentPort } from "node:worker_threads";
import { type DnsAnswer, startDnsServer } from "./dns-server.ts";

// See dns-thread.ts: tells where it listens, and then answers each message of names with one that says that they are known.

const { address, port, answer, names, silent } = await startDnsServer();
parentPort?.on("message", (told: Readonly<Record<string, DnsAnswer>>) => {
  names.clear();
  silent.clear();
  for (const [name, each] of Object.entries(told)) answer(name, each);
  parentPort?.postMessage({});
});
parentPort?.postMessage({ address, port });

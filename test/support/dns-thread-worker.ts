import { parentPort } from "node:worker_threads";
import { startDnsServer } from "./dns-server.ts";

// See dns-thread.ts: tells where it listens, and then answers each message of names with one that says that they are known.

const { address, port, names } = await startDnsServer();
parentPort?.on("message", (told: Readonly<Record<string, readonly string[]>>) => {
  names.clear();
  for (const [name, addresses] of Object.entries(told)) names.set(name, addresses);
  parentPort?.postMessage({});
});
parentPort?.postMessage({ address, port });

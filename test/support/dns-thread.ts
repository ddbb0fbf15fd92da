import type { DnsAnswer } from "./dns-server.ts";
import { once } from "node:events";
import { Worker } from "node:worker_threads";

/** A name server in a thread of its own: it answers in time, however busy the thread of the tests is. */
export interface DnsThread {
  readonly address: string;
  readonly port: number;
  /** What it knows from now on, and nothing else. */
  know(names: Readonly<Record<string, DnsAnswer>>): Promise<void>;
  close(): Promise<void>;
}

export async function startDnsThread(): Promise<DnsThread> {
  const worker = new Worker(new URL("dns-thread-worker.ts", import.meta.url));
  const [bound] = (await once(worker, "message")) as [{ address: string; port: number }];
  // Whoever forgets it shall not wait for it.
  worker.unref();
  return {
    ...bound,
    async know(names) {
      const known = once(worker, "message");
      worker.postMessage(names);
      await known;
    },
    close: async () => void (await worker.terminate()),
  };
}

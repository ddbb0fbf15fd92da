import type { EnvoyAdmin } from "./admin-client.ts";

/**
 * Has Envoy take no new connection and ask clients to leave (`Connection: close`, GOAWAY), and resolves when nothing is in
 * flight, or after `milliseconds`. Rejects where Envoy cannot be asked.
 */
export async function drainEnvoy(admin: EnvoyAdmin, milliseconds: number): Promise<void> {
  const end = performance.now() + milliseconds;
  // Before the listeners close: every response from now on tells its client to leave.
  await admin.post("/healthcheck/fail");
  await admin.post("/drain_listeners");
  let idleSince: number | null = null;
  while (performance.now() < end) {
    if ((await inFlight(admin)) > 0) idleSince = null;
    else {
      // A client may be writing on a connection that looks idle.
      idleSince ??= performance.now();
      if (performance.now() - idleSince >= IDLE_GRACE_MS) return;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

const POLL_MS = 50;
const IDLE_GRACE_MS = 300;

/** Requests being answered, and connections that carry something else than HTTP: those have no requests to count. */
async function inFlight(admin: EnvoyAdmin): Promise<number> {
  const stats = await admin.stats(
    "^(http\\..*\\.downstream_rq_active|http\\..*\\.downstream_cx_active|listener\\..*\\.downstream_cx_active)$",
  );
  let requests = 0;
  let httpConnections = 0;
  let connections = 0;
  for (const [name, value] of stats) {
    if (/^(http|listener)\.admin\./.test(name) || /\.(worker_\d+|main_thread)\./.test(name)) continue;
    if (name.startsWith("listener.")) connections += value;
    else if (name.endsWith(".downstream_rq_active")) requests += value;
    else httpConnections += value;
  }
  return requests + Math.max(0, connections - httpConnections);
}

import { once } from "node:events";
import { createServer } from "node:net";

/**
 * A port that nobody has at this moment, and that the system gives to nobody who asks for any (Linux gives those from
 * 32768 on), as the tests that run beside this one do all the time.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 20_000);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!isFree) continue;
    await once(server.close(), "close");
    return port;
  }
}

import { once } from "node:events";
import { get } from "node:http";
import { createServer } from "node:net";
import { createAuthority } from "../../x509/authority.ts";
import { openDemoDirectory } from "./directory.ts";
import { startGateway } from "./gateway.ts";
import { type Answer, type Places, story } from "./story.ts";
import { startIdentityUpstream } from "./upstream.ts";

export interface DemoFlags {
  readonly directory: string;
  readonly once?: boolean;
}

/** Everything of the documented page on one machine: PKI, an upstream that insists on a client certificate, the gateway. */
export async function demo(flags: DemoFlags): Promise<void> {
  const cleanUps: (() => void | Promise<void>)[] = [];
  const end = async (status: number): Promise<never> => {
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
    process.exit(status);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => void end(0));
  try {
    const status = await play(flags, cleanUps, end);
    if (flags.once === true) await end(status);
  } catch (error) {
    console.error(`credence demo: ${(error as Error).message}`);
    await end(1);
  }
}

/** Starts the parts, makes the request, tells the story; returns 0 if the upstream saw the gateway's certificate. */
async function play(
  flags: DemoFlags,
  cleanUps: (() => void | Promise<void>)[],
  end: (status: number) => void,
): Promise<number> {
  const directory = openDemoDirectory(flags.directory);
  cleanUps.push(directory.remove);

  const authority = await createAuthority("Credence demo CA", 120);
  const server = await authority.issue({ commonName: "localhost", dnsNames: ["localhost"], usage: "server" });
  const identity = await authority.issue({
    commonName: IDENTITY,
    dnsNames: ["gateway.demo.example"],
    usage: "client",
  });
  const upstream = await startIdentityUpstream(
    { ...server, clientCa: authority.certificate },
    await freePort(8444),
  );
  cleanUps.push(upstream.close);
  directory.writeGateway({ identity, ca: authority.certificate, upstreamPort: upstream.port });

  const gateway = startGateway(directory, { http: await freePort(8080), admin: await freePort(8877) });
  cleanUps.push(gateway.stop);
  const { http, admin } = await gateway.ready;
  // In order it only ends after us.
  gateway.process.once("exit", (code) => {
    if (gateway.stopping()) return;
    console.error(`credence demo: the gateway ended by itself with status ${code}`);
    end(1);
  });

  const places: Places = {
    url: `http://${http}/upstream/hello`,
    diagnostics: `http://${admin}/ambassador/v0/diag/`,
    upstream: `https://localhost:${upstream.port}`,
    gatewayFiles: directory.gateway,
    secret: directory.secret,
  };
  const answer = await request(places.url);
  process.stdout.write(story(places, answer, flags.once !== true));
  return answer.status === 200 && answer.body.includes(`CN=${IDENTITY}`) ? 0 : 1;
}

const IDENTITY = "credence-gateway";

/** On a connection of its own, so that none idles while the gateway is asked to end. */
async function request(url: string): Promise<Answer> {
  const [response] = await once(get(url, { agent: false }), "response");
  let body = "";
  for await (const piece of response.setEncoding("utf8")) body += piece;
  return { status: response.statusCode, body };
}

/** The wished port where it is free, else any. */
async function freePort(wished: number): Promise<number> {
  for (const port of [wished, 0]) {
    const server = createServer();
    const bound = await new Promise<number | null>((resolve) => {
      server.once("error", () => resolve(null));
      server.listen(port, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
    });
    if (bound === null) continue;
    await new Promise((resolve) => server.close(resolve));
    return bound;
  }
  throw new Error("no port is free");
}

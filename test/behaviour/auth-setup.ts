import type { RequestListener } from "node:http";
import type { Limits } from "../../src/engines/node/limits.ts";
import { mappingYaml } from "../support/certificates.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { exchangeBytes, parseAnswers, type RawAnswer } from "../support/raw-client.ts";
import { startUpstream, type Upstream, type UpstreamKind } from "../support/upstream.ts";

/** A gateway, the upstream behind it, and the service that it asks: all real, on sockets. */
export interface AuthWorld {
  readonly gateway: RunningGateway;
  readonly upstream: Upstream;
  readonly auth: Upstream;
  /** Sends bytes and reads the answers; a request says `Connection: close` where it does not wait for the timeout. */
  send(bytes: string | readonly string[]): Promise<RawAnswer[]>;
  failure(): Promise<{ reason: string; cause: string } | undefined>;
  stop(): Promise<void>;
}

/** `answer` is what the authorization service says; by default 200 to everything. */
export async function startAuthWorld(
  answer: RequestListener = (_, response) => response.end(),
  spec: Record<string, unknown> = {},
  more: {
    kind?: UpstreamKind;
    yaml?: string;
    mapping?: Record<string, unknown>;
    limits?: Partial<Limits>;
    allowUnenforced?: boolean;
  } = {},
): Promise<AuthWorld> {
  const [upstream, auth] = await Promise.all([
    startUpstream("cleartext"),
    startUpstream(more.kind ?? "cleartext", answer),
  ]);
  const mapping = { prefix: "/", rewrite: "", service: `localhost:${upstream.port}`, ...more.mapping };
  const past = { ...mapping, prefix: "/past/", bypass_auth: true };
  const gateway = await startGateway(
    {
      "all.yaml":
        authServiceYaml("auth", { auth_service: `localhost:${auth.port}`, ...spec }) +
        mappingYaml("m", mapping) +
        mappingYaml("past", past) +
        (more.yaml ?? ""),
    },
    { limits: more.limits ?? {}, compile: { allowUnenforced: more.allowUnenforced ?? false } },
  );
  return {
    gateway,
    upstream,
    auth,
    send: async (bytes) => parseAnswers(await exchangeBytes(gateway.httpPort, bytes)),
    failure: async () => (await gateway.diag()).failures[0],
    async stop() {
      await gateway.stop();
      await Promise.all([upstream.close(), auth.close()]);
    },
  };
}

export function authServiceYaml(name: string, spec: Record<string, unknown>): string {
  return `---\n${JSON.stringify({ apiVersion: "getambassador.io/v2", kind: "AuthService", metadata: { name }, spec })}\n`;
}

/** A request with these header lines, and the connection closed after it. */
export function get(path: string, ...lines: string[]): string {
  return `GET ${path} HTTP/1.1\r\n${["Host: localhost", "Connection: close", ...lines].join("\r\n")}\r\n\r\n`;
}

import { get } from "node:http";
import { createServer, get as getSecurely } from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { createAuthority, type IssuedCertificate } from "../../../src/x509/authority.ts";
import { mappingYaml, tlsContextYaml } from "../../support/certificates.ts";
import { type RunningGateway, startGateway } from "../../support/gateway.ts";
import { until } from "../../support/until.ts";
import { serialOf } from "../soak/serial.ts";
import { gatewayHost, gatewayId, peerHost, peerId } from "../soak/world.ts";
import { type Liar, LIARS, type Told } from "./sources.ts";

/** One identity of the gateway, which its peer and its clients are shown alike, and whoever issues it. */
export interface Site {
  readonly source: string;
  readonly yaml: string;
  readonly issuer: Liar["issuer"];
  /** Of the last good one that was told. */
  readonly good: Told;
  /** Another one, as good where nothing else is asked for; `stranger`: of a CA that is none of `anchors`. */
  issue(how?: { notAfter?: Date; stranger?: boolean }): Promise<Told>;
  tell(told: Told): Promise<void>;
  /** Tells a new good one, and waits until peer and clients are shown it and nothing is said against it. */
  renew(gateway: RunningGateway): Promise<void>;
  /** Serial numbers: what the peer is shown, and what a client is; or what came instead. */
  shown(gateway: RunningGateway): Promise<readonly string[]>;
  /** What is wrong with what peer and clients are shown: null, that is `good`. */
  wrong(gateway: RunningGateway): Promise<string | null>;
  /** What is said about it, `CODE EFFECT: MESSAGE` each. */
  findings(gateway: RunningGateway): Promise<string[]>;
  stop(): Promise<void>;
}

/** A gateway with a site by each source. */
export async function startSites(): Promise<{ gateway: RunningGateway; sites: Site[] }> {
  const names = Object.keys(LIARS);
  const hosts = Object.fromEntries(names.map((_, index) => [peerHost(`site-${index}`), ["127.0.0.1"]]));
  const gateway = await startGateway({}, { watch: true, hosts });
  const sites = await Promise.all(
    names.map((source, index) => startSite(source, `site-${index}`, gateway.directory)),
  );
  await gateway.replace("routes.yaml", CLEARTEXT_YAML + sites.map(({ yaml }) => yaml).join(""));
  return { gateway, sites };
}

async function startSite(source: string, name: string, directory: string): Promise<Site> {
  const [authority, stranger] = await Promise.all([createAuthority(name), createAuthority(`not ${name}`)]);
  // Of the peer, as a server and as a client.
  const own = await authority.issue({
    ...{ commonName: "peer", dnsNames: [peerHost(name)], uris: [peerId(name)], usage: "both" },
  });
  const peer = await startPeer(own, authority.certificate);
  const liar = await (LIARS[source] as (typeof LIARS)[string])(directory, name);
  const issue: Site["issue"] = async ({ notAfter, stranger: isOfStranger = false } = {}) => {
    const identity = await (isOfStranger ? stranger : authority).issue({
      ...{ commonName: "gateway", dnsNames: [gatewayHost(name)], uris: [gatewayId(name)], usage: "both" },
      ...(notAfter === undefined ? {} : { notAfter, notBefore: new Date(notAfter.getTime() - 86_400_000) }),
    });
    return { ...identity, anchors: [authority.certificate] };
  };
  let good = await issue();
  await liar.tell(good);
  const shown = async (gateway: RunningGateway): Promise<readonly string[]> => [
    await answer(gateway.httpPort, `/${name}/`),
    await shownTo(gateway.httpsPort, gatewayHost(name), own, authority.certificate),
  ];
  const wrong = async (gateway: RunningGateway): Promise<string | null> => {
    const serial = serialOf(good);
    const [upstream, downstream] = await shown(gateway);
    if (upstream !== serial)
      return `${source}: upstream ${upstream}, not ${serial}; ${JSON.stringify(await gateway.failure())}`;
    return downstream === serial ? null : `${source}: clients are shown ${downstream}, not ${serial}`;
  };
  const findings = async (gateway: RunningGateway): Promise<string[]> =>
    ((await gateway.diag()).diagnostics as unknown as readonly Finding[])
      .filter(({ subject, source }) => subject.name === name || source?.file?.includes(`${name}.`) === true)
      .map(({ code, effect, message }) => `${code} ${effect}: ${message}`);
  return {
    source,
    issuer: liar.issuer,
    issue,
    shown,
    wrong,
    findings,
    get good() {
      return good;
    },
    yaml:
      mappingYaml(name, {
        prefix: `/${name}/`,
        service: `${peerHost(name)}:${peer.port}`,
        tls: name,
        timeout_ms: 20_000,
        connect_timeout_ms: 20_000,
      }) + tlsContextYaml(name, { hosts: [gatewayHost(name)], cert_required: true, ...liar.context }),
    tell: (told) => liar.tell(told),
    async renew(gateway) {
      good = await issue();
      await liar.tell(good);
      let last: unknown;
      await until(
        async () => {
          last = (await wrong(gateway)) ?? (await findings(gateway)).join("; ");
          return last === "";
        },
        RENEWED_WITHIN_MS,
        async () => `${source}: a good one is in use, ${last}; ${(await findings(gateway)).join("; ")}`,
      );
    },
    async stop() {
      await liar.stop();
      peer.close();
    },
  };
}

/** Waits for all, and fails with the first that failed: none goes on into the next test. */
export async function together(all: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(all)).find(({ status }) => status === "rejected");
  if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
}

/** What `findings` reads of a diagnostic. */
interface Finding {
  readonly code: string;
  readonly effect: string;
  readonly message?: string;
  readonly subject: { readonly name: string };
  readonly source?: { readonly file?: string };
}

/** An HTTPS server that answers with the serial number of the certificate that it is shown. */
async function startPeer({ certificate, privateKey }: IssuedCertificate, ca: string) {
  const server = createServer(
    { cert: certificate, key: privateKey, ca, requestCert: true },
    (request, response) => {
      const own = (request.socket as TLSSocket).getPeerX509Certificate();
      response.end(own?.serialNumber.toLowerCase() ?? "none");
    },
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close(): void {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** A TLSContext has hosts of its own, and where there are any, cleartext is for those that say so. */
const CLEARTEXT_YAML = `---\n${JSON.stringify({
  apiVersion: "getambassador.io/v2",
  kind: "Host",
  metadata: { name: "plain" },
  spec: { hostname: "plain.example", requestPolicy: { insecure: { action: "Route" } } },
})}\n`;

function answer(port: number, path: string): Promise<string> {
  return new Promise((resolve) => {
    get({ host: "127.0.0.1", port, path, headers: { host: "plain.example" }, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () =>
        resolve(response.statusCode === 200 ? text : `${response.statusCode} ${text}`),
      );
    }).on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}

/** The serial number that a client is shown, or why it is shown none. */
function shownTo(port: number, host: string, own: IssuedCertificate, ca: string): Promise<string> {
  return new Promise((resolve) => {
    const named = { host: "127.0.0.1", port, path: "/", servername: host, headers: { host }, agent: false };
    getSecurely({ ...named, ca, cert: own.certificate, key: own.privateKey }, (response) => {
      // With an answer it is sure that the client's certificate was taken too.
      resolve((response.socket as TLSSocket).getPeerX509Certificate()?.serialNumber.toLowerCase() ?? "none");
      response.destroy();
    }).on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}

/** Whoever is asked again later and later has failed a few times by then. */
const RENEWED_WITHIN_MS = 60_000;

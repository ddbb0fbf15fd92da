import type { Report } from "./finding.ts";
import { type MigrationInput, type WrittenObject, writtenObjects } from "./input.ts";
import type { Legacy } from "./legacy.ts";
import { servedNames } from "./served-names.ts";
import { objectYaml } from "./snippet.ts";

/** Rules about TCPMappings (reference §2.8). */
export function tcpRules(input: MigrationInput, legacy: Legacy, report: Report): void {
  const mappings = writtenObjects(input, "TCPMapping");
  const names = servedNames(input, legacy);
  const servedBy = (host: string): string | undefined =>
    names.find((each) => each.names.includes(host.toLowerCase()))?.written.name;
  const isServed = !input.diagnostics.some(
    ({ code, subject }) => code === "kind-not-supported" && subject.kind === "TCPMapping",
  );
  const now = (text: string): string => (isServed ? text : "TCPMappings are not served by this version.");
  const byPort = new Map<string, WrittenObject[]>();
  for (const mapping of mappings) {
    const { host, port, address, idle_timeout_ms } = mapping.spec;
    const key = `${address ?? "0.0.0.0"}:${port}`;
    byPort.set(key, [...(byPort.get(key) ?? []), mapping]);
    if (idle_timeout_ms !== undefined) {
      report("tcp-idle-timeout-ignored", {
        at: mapping,
        field: "idle_timeout_ms",
        before: "idle_timeout_ms did nothing.",
        now: now(`Connections on which nobody speaks for ${idle_timeout_ms} ms are closed.`),
      });
    }
    if (typeof host === "string" && servedBy(host) === undefined) {
      report("tcp-host-never-matched", {
        at: mapping,
        field: "host",
        before: `No TLSContext has ${host} among its hosts: the server name was not looked at, and nothing ever came here.`,
        now: now("TLS for that name is passed through to the service, unopened."),
        edit: {
          what: "None for passing through; to end TLS here, serve the name.",
          yaml: objectYaml(
            "TLSContext",
            { namespace: mapping.namespace, name: `${mapping.name}-context` },
            { hosts: [host], secret: `${mapping.name}-certs` },
          ),
        },
      });
    }
  }
  for (const [place, sharing] of byPort) {
    const hosts = [
      ...new Set(sharing.map(({ spec }) => spec.host).filter((host) => typeof host === "string")),
    ];
    const contexts = new Set(hosts.map(servedBy));
    const [first, ...also] = sharing;
    if (first !== undefined && contexts.size > 1) {
      report("tcp-shared-context", {
        at: first,
        field: "port",
        also,
        before: `On ${place} every host was served with the certificate and the client check of ${hosts[0]}.`,
        now: now("Each is served with its own."),
      });
    }
    for (const host of new Set(sharing.map(({ spec }) => spec.host))) {
      const group = sharing.filter(({ spec }) => spec.host === host);
      const [weighted] = group.filter(({ spec }) => spec.weight !== undefined);
      if (group.length < 2 || weighted === undefined) continue;
      report("tcp-weights", {
        at: weighted,
        field: "weight",
        also: group.filter((each) => each !== weighted),
        before: "Sums of weights were taken for weights: 20 and 80 became shares of 20 and 100.",
        now: now("The weights are shares of their sum."),
      });
    }
  }
}

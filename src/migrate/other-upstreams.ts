import { parseService } from "../compile/service.ts";
import type { Report } from "./finding.ts";
import { type MigrationInput, writtenObjects } from "./input.ts";
import type { Legacy } from "./legacy.ts";

/** Kinds beside Mapping that are spoken to by a named TLSContext, and the field that says where. */
const KINDS = { TCPMapping: "service", AuthService: "auth_service", RateLimitService: "service" } as const;

/** They went on without a context that 1.14 left out, as Mappings did (reference §2.2). */
export function otherUpstreamRules(input: MigrationInput, legacy: Legacy, report: Report): void {
  for (const [kind, field] of Object.entries(KINDS)) {
    for (const written of writtenObjects(input, kind)) {
      const { tls, [field]: address } = written.spec;
      if (typeof tls !== "string" || typeof address !== "string") continue;
      const context = legacy.context(tls);
      const judged = context === undefined ? undefined : legacy.judge(context);
      if (judged?.usable === true) continue;
      const service = parseService(address);
      const byTls = typeof service !== "string" && service.scheme === "https" && kind !== "TCPMapping";
      const stops = input.diagnostics.some(
        ({ severity, subject }) =>
          severity === "error" &&
          subject.kind === kind &&
          subject.namespace === written.namespace &&
          subject.name === written.name,
      );
      const how = byTls
        ? "by TLS, without a client certificate and without verifying it"
        : "in cleartext, to port 80 where none is written";
      report(byTls ? "unverified-fallback" : "cleartext-fallback", {
        at: written,
        field: "tls",
        before: `TLSContext ${tls} was left out (${judged?.why ?? "it is not defined"}). ${address} was spoken to ${how}.`,
        now: stops
          ? `It is not spoken to without the context: what needs ${kind} ${written.name} is closed until that is mended.`
          : "TLS is spoken as the context says.",
        ...(stops ? { severity: "error" as const } : {}),
        edit: stops
          ? { what: "Provide the TLSContext and its Secret, or mend the name.", yaml: "" }
          : { what: "None, if the service speaks TLS; to go on in cleartext, take `tls` out.", yaml: "" },
      });
    }
  }
}

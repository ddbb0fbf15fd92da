import type { TlsContextResource } from "../resources/tls-context.ts";
import type { Report } from "./finding.ts";
import type { MigrationInput } from "./input.ts";
import type { Legacy } from "./legacy.ts";
import { servedNames } from "./served-names.ts";
import { fieldsYaml, secretYaml } from "./snippet.ts";

/** Rules about TLS towards clients (reference §2.3.2). */
export function terminationRules(input: MigrationInput, legacy: Legacy, report: Report): void {
  const terminating = input.resources.tlsContexts.filter(({ terminates }) => terminates);
  for (const context of terminating) {
    const judged = legacy.judge(context);
    if (!judged.usable) dropped(context, judged, terminating.length > 1, input, report);
    else if (context.spec.cert_required === true && !judged.verifies) {
      report("client-certificate-unchecked", {
        at: context,
        field: "cert_required",
        before: "Clients had to show some certificate, and none was checked: there is no CA.",
        now: served(context, input),
        edit: {
          what: "Give it the clients' CA.",
          yaml: fieldsYaml({ ca_secret: "client-ca", cert_required: true }),
        },
      });
    }
  }
  const names = servedNames(input, legacy);
  const [first] = names;
  if (first === undefined) return;
  if (!names.some((each) => each.names.includes("*"))) {
    report("unknown-names-served", {
      at: first.written,
      field: "hosts",
      before: `A handshake with another server name, or with none, was answered by the first of these (${first.written.name}, most likely), with its certificate and all routes.`,
      now: "Such a handshake is refused.",
      edit: {
        what: "None, unless clients come by address or by other names; then name any in one TLSContext.",
        yaml: fieldsYaml({ hosts: [...first.names, "*"] }),
      },
    });
  }
  for (const each of names) {
    const others = names.filter((other) => other !== each);
    if (!each.checksClients || others.length === 0) continue;
    report("client-certificate-bypass", {
      at: each.written,
      field: "cert_required",
      before: `A client that named another host in its handshake, or none, and ${each.names[0] ?? "this one"} in Host came in without the certificate.`,
      now: "Such a request is answered with 421, upon which a client opens a connection of its own.",
    });
  }
  claims(names, report);
  redirects(terminating, report);
  const old = terminating.filter(({ spec }) => spec.min_tls_version === undefined);
  const [oldest, ...also] = old;
  if (oldest !== undefined) {
    report("old-tls-versions", {
      at: oldest,
      also,
      before: "Clients could come with TLS 1.0 and 1.1 (RFC 8996), Envoy's default.",
      now: "TLS 1.2 and 1.3 only.",
      edit: {
        what: "None, unless there are such clients; then write this, and mean it.",
        yaml: fieldsYaml({ min_tls_version: "v1.0" }),
      },
    });
  }
}

function dropped(
  context: TlsContextResource,
  judged: Extract<ReturnType<Legacy["judge"]>, { usable: false }>,
  hasOthers: boolean,
  input: MigrationInput,
  report: Report,
): void {
  const now = served(context, input);
  const refused = now.includes("refused");
  const { spec } = context;
  const isCa = judged.about === "ca";
  const secret = isCa ? spec.ca_secret : spec.secret;
  const pem = isCa
    ? { "ca.crt": "# the clients' CA as PEM" }
    : { "tls.crt": "# certificate and chain as PEM", "tls.key": "# key as PEM" };
  const then = hasOthers
    ? "its names were answered by another context, with that one's certificate"
    : "its names, and all others, were served in cleartext on port 8080";
  report(isCa ? "client-check-dropped" : "termination-dropped", {
    at: context,
    field: isCa ? "ca_secret" : "secret",
    before: `It was left out (${judged.why}): ${then}${isCa ? ", without a client's certificate being asked for" : ""}.`,
    now,
    ...(refused ? {} : { severity: "info" as const }),
    ...(refused && secret !== undefined
      ? {
          edit: {
            what: "Provide the Secret among the resources, or mend its name.",
            yaml: secretYaml(context.namespace, secret, pem),
          },
        }
      : refused
        ? { edit: { what: "Give it a certificate.", yaml: fieldsYaml({ secret: `${context.name}-certs` }) } }
        : {}),
  });
}

/** What Credence does with a context's names, by the model. */
function served(context: TlsContextResource, { model }: MigrationInput): string {
  const origin = `tlscontext/${context.namespace}/${context.name}`;
  const own = model.virtualHosts.filter((host) => host.origin === origin);
  const modes = new Set(own.map(({ tls }) => tls.mode));
  if (own.length === 0) return "It serves no name.";
  if (modes.has("refuse")) return "Handshakes for its names are refused, and so is cleartext for them.";
  const clients = own.map(({ tls }) => (tls.mode === "terminate" ? tls.clients.mode : "none"))[0];
  return clients === "none"
    ? "Its names are served over TLS."
    : `Its names are served over TLS; a client certificate is ${clients}, and verified.`;
}

function claims(names: ReturnType<typeof servedNames>, report: Report): void {
  const byName = new Map<string, typeof names>();
  for (const each of names)
    for (const name of each.names) byName.set(name, [...(byName.get(name) ?? []), each]);
  for (const [name, claimants] of byName) {
    const contexts = claimants.filter(({ written }) => written.kind === "TLSContext");
    const [first, second, ...rest] = contexts;
    if (first === undefined || second === undefined) continue;
    report("host-claimed-twice", {
      at: second.written,
      field: "hosts",
      also: [first, ...rest].map(({ written }) => written),
      before: `${name} is claimed by ${contexts.map(({ written }) => written.name).join(" and ")}: the first one won, with its certificate and its client check.`,
      now: "Handshakes for the name are refused: their order must not decide.",
      edit: { what: `Name ${name} in one of them only.`, yaml: "" },
    });
  }
}

function redirects(contexts: readonly TlsContextResource[], report: Report): void {
  const asking = contexts.filter(({ spec }) => spec.redirect_cleartext_from !== undefined);
  const ports = new Set(asking.map(({ spec }) => spec.redirect_cleartext_from));
  const [first, ...also] = asking;
  if (first === undefined || ports.size < 2) return;
  report("redirect-port-conflict", {
    at: first,
    field: "redirect_cleartext_from",
    also,
    before: `Of the ports ${[...ports].join(", ")} the first one was followed.`,
    now: "None is followed.",
    edit: {
      what: "Write the same port in all of them.",
      yaml: fieldsYaml({ redirect_cleartext_from: first.spec.redirect_cleartext_from }),
    },
  });
}

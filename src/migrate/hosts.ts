import { isRecord } from "../resources/fields.ts";
import type { Report } from "./finding.ts";
import { type MigrationInput, type WrittenObject, writtenObjects } from "./input.ts";
import type { Legacy } from "./legacy.ts";
import { hostname, secretName } from "./served-names.ts";
import { fieldsYaml, secretYaml } from "./snippet.ts";

/** Rules about Hosts (reference §2.6). */
export function hostRules(input: MigrationInput, legacy: Legacy, report: Report): void {
  const hosts = writtenObjects(input, "Host");
  for (const host of hosts) {
    const secret = secretName(host);
    const now = served(host, input);
    if (secret !== undefined) {
      const found = legacy.secrets.get(`${host.namespace}/${secret}`);
      const complete = found !== undefined && (found.keys.has("tls.crt") || found.keys.has("cert-chain.pem"));
      if (!complete) {
        report("host-dropped", {
          at: host,
          field: "tlsSecret",
          before: `Secret ${secret} ${found === undefined ? "is missing" : "has no certificate"}: the Host was left out with a line in the log, and where nothing else served TLS, everything went in cleartext on port 8080.`,
          now,
          edit: {
            what: "Provide the Secret among the resources, or mend its name.",
            yaml: secretYaml(host.namespace, secret, {
              "tls.crt": "# certificate and chain as PEM",
              "tls.key": "# key as PEM",
            }),
          },
        });
      }
    } else if (host.spec.tls !== undefined || host.spec.tlsContext !== undefined) {
      report("host-tls-ignored", {
        at: host,
        field: host.spec.tls === undefined ? "tlsContext" : "tls",
        before: "tls and tlsContext were looked at only beside a tlsSecret: the Host had no TLS.",
        now,
        edit: {
          what: "Name the certificate.",
          yaml: fieldsYaml({ tlsSecret: { name: `${host.name}-certs` } }),
        },
      });
    }
  }
  requestPolicies(hosts, report);
}

function requestPolicies(hosts: readonly WrittenObject[], report: Report): void {
  const actions = new Set(hosts.map(insecureAction));
  const [first, ...also] = hosts;
  if (first !== undefined && actions.size > 1) {
    report("request-policy-global", {
      at: first,
      field: "requestPolicy",
      also,
      before: `Of the policies ${[...actions].join(", ")} one held for all Hosts: on the cleartext port only the first Host was ever matched.`,
      now: "Each Host has its own.",
      edit: {
        what: "Write in each Host what is meant for it.",
        yaml: fieldsYaml({ requestPolicy: { insecure: { action: "Redirect" } } }),
      },
    });
  }
  for (const host of hosts.filter((each) => insecureAction(each) === "Reject")) {
    report("reject-is-404", {
      at: host,
      field: "requestPolicy",
      before: "Reject left the routes out, and cleartext requests got 404.",
      now: "They get 400, as the documentation says.",
    });
  }
}

function insecureAction({ spec }: WrittenObject): string {
  const policy = isRecord(spec.requestPolicy) ? spec.requestPolicy.insecure : undefined;
  return isRecord(policy) && typeof policy.action === "string" ? policy.action : "Redirect";
}

/** What Credence does with the Host's name, by the model. */
function served(host: WrittenObject, { model }: MigrationInput): string {
  const found = model.virtualHosts.find(({ domain }) => domain === hostname(host));
  if (found === undefined) return "The name is not served over TLS.";
  if (found.tls.mode === "refuse") return "Handshakes for the name are refused, and so is cleartext for it.";
  if (found.tls.mode === "cleartext") return `The name has no TLS; cleartext for it: ${found.cleartext}.`;
  return "The name is served over TLS.";
}

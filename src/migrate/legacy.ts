import { isRecord } from "../resources/fields.ts";
import type { TlsContextResource } from "../resources/tls-context.ts";
import { fileCredentialName } from "../resources/tls-context.ts";
import { type MigrationInput, type WrittenObject, writtenObjects } from "./input.ts";

/** What 1.14 made of a TLSContext, whichever way it was used (reference §2.3). */
export type LegacyContext =
  | { readonly usable: true; readonly verifies: boolean }
  /** Dropped: whoever named it went on without it. `why` is one clause. */
  | { readonly usable: false; readonly about: "certificate" | "ca"; readonly why: string };

/** A Secret by the names of its keys; their values are nobody's business here. */
export interface LegacySecret {
  readonly written: WrittenObject;
  readonly type: string;
  readonly keys: ReadonlySet<string>;
}

/** The input as 1.14 read it. */
export class Legacy {
  readonly secrets: ReadonlyMap<string, LegacySecret>;
  readonly #input: MigrationInput;
  /** Go's flag is false as soon as there is a Module `ambassador` that does not set it (reference §2.3.3). */
  readonly #goSplitsNames: boolean;
  readonly #splitsNames: boolean;

  constructor(input: MigrationInput) {
    this.#input = input;
    this.secrets = new Map(
      writtenObjects(input, "Secret").map((written) => [
        `${written.namespace}/${written.name}`,
        readSecret(written),
      ]),
    );
    const { modules } = input.resources;
    const set = modules
      .map(({ spec }) => spec.defaults?.tls_secret_namespacing)
      .find((each) => each !== undefined);
    this.#goSplitsNames = modules.length === 0 || set === true;
    this.#splitsNames = set ?? true;
  }

  /** By its name in any namespace: the first one has the bare name, the others `name.namespace` (reference §2.1). */
  context(name: string): TlsContextResource | undefined {
    const named = (wanted: string): TlsContextResource[] =>
      this.#input.resources.tlsContexts
        .filter((context) => context.name === wanted)
        .sort((a, b) => (a.namespace < b.namespace ? -1 : 1));
    const [first] = named(name);
    const dot = name.lastIndexOf(".");
    if (first !== undefined || dot <= 0) return first;
    return named(name.slice(0, dot))
      .slice(1)
      .find(({ namespace }) => namespace === name.slice(dot + 1));
  }

  judge(context: TlsContextResource): LegacyContext {
    const { spec } = context;
    const lost = (why: string, about: "certificate" | "ca" = "certificate"): LegacyContext => ({
      usable: false,
      about,
      why,
    });
    if (spec.secret !== undefined && spec.cert_chain_file !== undefined)
      return lost("it names both secret and cert_chain_file");
    if ((spec.cert_chain_file === undefined) !== (spec.private_key_file === undefined))
      return lost("cert_chain_file and private_key_file are not both there");
    const namesCa = spec.ca_secret !== undefined || spec.cacert_chain_file !== undefined;
    if (spec.secret === undefined && spec.cert_chain_file === undefined)
      return lost(namesCa ? "it has a CA and no certificate" : "it has no certificate information at all");
    let verifies = namesCa;
    if (spec.secret !== undefined) {
      const secret = this.secretOf(context, spec.secret);
      if (secret === "undelivered") return lost(`secret ${spec.secret} was not delivered`);
      if (secret === undefined) return lost(`secret ${spec.secret} is missing`);
      if (!TYPES.has(secret.type)) return lost(`secret ${spec.secret} is of type ${secret.type}`);
      const has = (...keys: string[]): boolean => keys.some((key) => secret.keys.has(key));
      if (!has("tls.crt", "cert-chain.pem")) return lost(`secret ${spec.secret} has no certificate`);
      if (!has("tls.key", "key.pem")) return lost(`secret ${spec.secret} has no key`);
      if (secret.type === ISTIO_TYPE && has("root-cert.pem")) verifies = true;
    } else if (this.#isUnreadable(context)) return lost("cert_chain_file cannot be read");
    if (spec.ca_secret !== undefined) {
      const secret = this.secretOf(context, spec.ca_secret);
      if (secret === "undelivered") return lost(`CA secret ${spec.ca_secret} was not delivered`, "ca");
      if (secret === undefined) return lost(`CA secret ${spec.ca_secret} is missing`, "ca");
      if (!secret.keys.has("tls.crt") && !secret.keys.has("cert-chain.pem"))
        return lost(
          `CA secret ${spec.ca_secret} has its CA not in tls.crt, the only key that was read`,
          "ca",
        );
    }
    return { usable: true, verifies };
  }

  /** `undelivered`: the two halves of 1.14 disagreed about the dot in its name. */
  secretOf(context: TlsContextResource, written: string): LegacySecret | "undelivered" | undefined {
    const own = context.spec.secret_namespacing;
    const dot = written.lastIndexOf(".");
    const splits = dot > 0 && dot < written.length - 1;
    if (!splits || !(own ?? this.#splitsNames)) return this.secrets.get(`${context.namespace}/${written}`);
    const found = this.secrets.get(`${written.slice(dot + 1)}/${written.slice(0, dot)}`);
    return found !== undefined && !(own ?? this.#goSplitsNames) ? "undelivered" : found;
  }

  #isUnreadable(context: TlsContextResource): boolean {
    const status = this.#input.statuses.credential(fileCredentialName(context));
    return status === undefined || (!status.usable && status.code === "secret-key-missing");
  }
}

export const ISTIO_TYPE = "istio.io/key-and-cert";
const TYPES = new Set(["Opaque", "kubernetes.io/tls", ISTIO_TYPE]);

function readSecret(written: WrittenObject): LegacySecret {
  const { value } = written.raw;
  const { type, data, stringData } = isRecord(value) ? value : {};
  const keys = [data, stringData].flatMap((section) => (isRecord(section) ? Object.keys(section) : []));
  return { written, type: typeof type === "string" ? type : "Opaque", keys: new Set(keys) };
}

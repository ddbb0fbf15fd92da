import { createHash, X509Certificate } from "node:crypto";
import { hashModel } from "../../compile/hash-model.ts";
import type { CredentialReader } from "../../credentials/credential.ts";
import { EnvoyNotFound, findEnvoy } from "../../engines/envoy/process/find.ts";
import { isObject, type Json, mapObjects } from "../../engines/envoy/process/json.ts";
import { validateBootstrap } from "../../engines/envoy/process/validate.ts";
import { type RenderedResources, renderResources } from "../../engines/envoy/render.ts";
import type { XdsResource } from "../../engines/envoy/resources.ts";
import { secretParts } from "../../engines/envoy/secrets.ts";
import { staticBootstrap } from "../../engines/envoy/static-bootstrap.ts";
import { translate } from "../../engines/envoy/translate.ts";
import type { LoadedGateway } from "../load.ts";

interface EnvoyDump {
  readonly version: 1;
  /** Of the model. */
  readonly hash: string;
  readonly resources: RenderedResources;
  /** Whatever the resources name, by that name; null: it is not there, and its users fail closed. */
  readonly secrets: Readonly<Record<string, SecretFingerprints | null>>;
}

/** SHA-256, lower-case hex: of certificates their DER, of the public key its SubjectPublicKeyInfo. */
interface SecretFingerprints {
  /** Of lists of revoked certificates. */
  readonly revocationLists?: readonly string[];
  readonly certificates: readonly string[];
  readonly publicKey?: string;
}

/** What Envoy gets of the resources, without secrets. */
export function dumpEnvoy(gateway: LoadedGateway): EnvoyDump {
  const resources = renderResources(resourcesOf(gateway));
  return {
    version: 1,
    hash: hashModel(gateway.compilation.model),
    resources,
    secrets: Object.fromEntries(
      secretNames(resources).map((name) => [name, fingerprints(name, gateway.store)]),
    ),
  };
}

/** Says on standard output what Envoy says; false: it refuses, or there is none. */
export async function validateEnvoy(gateway: LoadedGateway, flag: string | undefined): Promise<boolean> {
  let path: string;
  try {
    const found = await findEnvoy({ flag, environment: process.env });
    if (found.warning !== null) console.error(`credence: ${found.warning}`);
    path = found.path;
  } catch (error) {
    if (!(error instanceof EnvoyNotFound)) throw error;
    console.error(`credence: ${error.message}`);
    return false;
  }
  const resources = resourcesOf(gateway);
  const validation = await validateBootstrap(path, await staticBootstrap(resources));
  process.stdout.write(
    validation.ok
      ? `OK: Envoy takes these ${resources.length} resources\n`
      : `Envoy refuses these resources:\n${validation.reason}\n`,
  );
  return validation.ok;
}

/** Generations are of a process: here all are the first, so that the same files give the same bytes. */
function resourcesOf({ compilation }: LoadedGateway): XdsResource[] {
  return translate(compilation.model, { generations: new Map(), ports: new Map() });
}

function secretNames(resources: RenderedResources): string[] {
  const names = new Set<string>();
  mapObjects(resources as Json, (object) => {
    if (isObject(object.sds_config) && typeof object.name === "string") names.add(object.name);
    return object;
  });
  return [...names].sort();
}

/** Of what an SDS secret of this name is made of. */
function fingerprints(secret: string, store: CredentialReader): SecretFingerprints | null {
  const parts = secretParts(secret);
  if (parts === null) return null;
  if ("trust" in parts) {
    const bundle = store.trust(parts.trust);
    const lists = parts.crl === undefined ? undefined : store.crl(parts.crl)?.lists.facts;
    if (bundle === undefined) return null;
    return {
      certificates: bundle.facts.map(({ sha256 }) => sha256),
      ...(lists === undefined ? {} : { revocationLists: lists.map(({ sha256 }) => sha256) }),
    };
  }
  const credential = store.credential(parts.credential);
  if (credential === undefined) return null;
  const { publicKey } = new X509Certificate(credential.certificateChain);
  return {
    certificates: credential.facts.map(({ sha256 }) => sha256),
    publicKey: createHash("sha256")
      .update(publicKey.export({ type: "spki", format: "der" }))
      .digest("hex"),
  };
}

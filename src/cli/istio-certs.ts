import { join } from "node:path";
import type { GroupBounds } from "./group-bounds.ts";
import { secretCredentialName } from "../resources/secret.ts";
import type { CertificateFileSet } from "../sources/files/certificate-files.ts";
import type { CredentialSink } from "../sources/files/secret-offers.ts";

/** The name under which TLSContexts name what Istio's agent wrote into a folder, as in 1.14 (reference §3.1). */
const SECRET = "istio-certs";

/** Where the gateway lives: there the Secret `istio-certs` is. */
function gatewayNamespace(): string {
  return process.env.AMBASSADOR_NAMESPACE || "default";
}

/** The folder is the gateway's own: a group of a fleet has it where it has that namespace. */
export function ofGateway({ namespaces }: GroupBounds, directory: string | undefined): string | undefined {
  return namespaces?.has(gatewayNamespace()) === false ? undefined : directory;
}

/** Where a group's certificate files may be: undefined, anywhere. */
export function foldersOf(
  { folders }: GroupBounds,
  directory: string | undefined,
): readonly string[] | undefined {
  return folders === undefined || directory === undefined ? folders : [...folders, directory];
}

/** The files that stand for the Secret `istio-certs`. Unlike 1.14 the CA is read as well, and a peer checked by it. */
export function istioCertificateFiles(directory: string): CertificateFileSet {
  const namespace = gatewayNamespace();
  return {
    name: secretCredentialName(namespace, SECRET),
    certificateChain: join(directory, "cert-chain.pem"),
    privateKey: join(directory, "key.pem"),
    trustAnchors: join(directory, "root-cert.pem"),
    origin: { subject: { kind: "Secret", namespace, name: SECRET } },
    places: {},
  };
}

/** A Secret of that name gives way to the folder, as in 1.14: two sources of one name would take turns. */
export function withoutIstioSecret(directory: string | undefined, sink: CredentialSink): CredentialSink {
  if (directory === undefined) return sink;
  const taken = secretCredentialName(gatewayNamespace(), SECRET);
  return {
    offer: (name, material, origin) => {
      if (name !== taken) sink.offer(name, material, origin);
    },
    remove: (name) => {
      if (name !== taken) sink.remove(name);
    },
  };
}

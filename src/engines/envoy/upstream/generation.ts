import type { JsonObject } from "@bufbuild/protobuf";
import type { Cluster } from "../../../model/cluster.ts";
import type { TranslationContext } from "../translation-context.ts";
import type { ClusterFields } from "./cluster-fields.ts";

/**
 * The generations of the credential, the trust and the revocation lists that a cluster uses. A new secret alone would leave connections that were
 * made with the old one in use; a cluster that differs is warmed, swapped in, and the old one's connections drain.
 */
export function generationMetadata(cluster: Cluster, context: TranslationContext): ClusterFields {
  const generation = clusterGeneration(cluster, context);
  return generation === null ? {} : { metadata: { filterMetadata: { credence: { generation } } } };
}

/** null: it uses none. */
export function clusterGeneration({ tls }: Cluster, { generations }: TranslationContext): JsonObject | null {
  if (tls.mode === "cleartext") return null;
  const { credential, verification } = tls;
  const lists = listsOf(tls);
  const fields: JsonObject = {
    ...(credential === undefined ? {} : { credential: generations.get(`credential ${credential}`) ?? 0 }),
    ...(verification.mode === "none" ? {} : { trust: generations.get(`trust ${verification.trust}`) ?? 0 }),
    ...(lists === undefined ? {} : { crl: generations.get(`crl ${lists}`) ?? 0 }),
  };
  return Object.keys(fields).length === 0 ? null : fields;
}

/** Tells those generations apart; as text, for whoever keeps what was made of them. */
export function generationKey({ tls }: Cluster, { generations }: TranslationContext): string {
  if (tls.mode === "cleartext") return "";
  const { credential, verification } = tls;
  const [own, trust] = [
    credential === undefined ? undefined : generations.get(`credential ${credential}`),
    verification.mode === "none" ? undefined : generations.get(`trust ${verification.trust}`),
  ];
  const lists = listsOf(tls);
  return `${own} ${trust} ${lists === undefined ? "" : generations.get(`crl ${lists}`)}`;
}

function listsOf({ verification }: Extract<Cluster["tls"], { mode: "originate" }>): string | undefined {
  return verification.mode === "none" ? undefined : verification.rules?.revocation?.crl;
}

import { stringify } from "yaml";

/** Fields as YAML, for an edit. */
export function fieldsYaml(fields: Readonly<Record<string, unknown>>): string {
  return stringify(fields, { lineWidth: 0 });
}

/** A whole object as YAML, for an edit. */
export function objectYaml(
  kind: string,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  spec: Readonly<Record<string, unknown>>,
): string {
  return stringify(
    { apiVersion: "getambassador.io/v2", kind, metadata: { name, namespace }, spec },
    { lineWidth: 0 },
  );
}

/** A Secret to fill in. */
export function secretYaml(namespace: string, name: string, data: Readonly<Record<string, string>>): string {
  return stringify(
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name, namespace },
      type: "Opaque",
      stringData: data,
    },
    { lineWidth: 0 },
  );
}

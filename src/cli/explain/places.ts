import type { SourcePosition } from "../../diagnostics/diagnostic.ts";
import type { LoadedGateway } from "../load.ts";

/** Where the resources that the model names were written, by the model's names for them. */
export class Places {
  readonly #byName = new Map<string, SourcePosition>();

  constructor({ resources, origins }: Pick<LoadedGateway, "resources" | "origins">) {
    for (const list of Object.values(resources) as readonly (readonly Placed[])[]) {
      for (const { kind, namespace, name, raw } of list)
        this.#byName.set(`${kind.toLowerCase()}/${namespace}/${name}`, raw.source);
    }
    for (const [name, { source }] of origins) if (source !== undefined) this.#byName.set(name, source);
  }

  /** `file:line` of `mapping/default/a`, `tlscontext/default/a`, `secret/default/a`; null where it is not known. */
  of(name: string): string | null {
    const at = this.#byName.get(name) ?? this.#ofIngress(name);
    return at === undefined ? null : `${at.file}:${at.line}`;
  }

  /** An Ingress `shop` implies Mappings `shop-0-1`. */
  #ofIngress(name: string): SourcePosition | undefined {
    const [kind, namespace, object = ""] = name.split("/");
    if (kind !== "mapping") return undefined;
    for (let dash = object.lastIndexOf("-"); dash > 0; dash = object.lastIndexOf("-", dash - 1)) {
      const found = this.#byName.get(`ingress/${namespace}/${object.slice(0, dash)}`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

interface Placed {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly raw: { readonly source: SourcePosition };
}

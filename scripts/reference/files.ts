import { KINDS } from "./kinds.ts";
import { indexPage, kindPage } from "./page.ts";
import { customResourceDefinition } from "./structural.ts";

/** Every generated file by its path from the root. */
export function referenceFiles(): ReadonlyMap<string, string> {
  return new Map([
    ["docs/reference/README.md", indexPage(KINDS)],
    ...KINDS.flatMap((documented): [string, string][] => [
      [`docs/reference/${documented.kind.toLowerCase()}.md`, kindPage(documented)],
      [`deploy/crds/${documented.plural}.yaml`, customResourceDefinition(documented)],
    ]),
  ]);
}

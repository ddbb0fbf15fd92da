import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "../../support/fast-check.ts";
import { renderText } from "../../../src/diagnostics/render.ts";
import { parseObject } from "../../../src/resources/envelope.ts";
import { parseYaml } from "../../../src/sources/files/yaml.ts";

const KEY = "c2VjcmV0LWtleS1ieXRlcy10aGF0LW5vYm9keS1tYXktc2VlLWluLWFueS1vdXRwdXQ=";
const SHORT = "plainSecretKey42";

/** Documents that hold a key, written in every way that YAML allows. */
const SECRETS = [
  `apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\ndata:\n  tls.key: ${KEY}\n`,
  `apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nstringData:\n  tls.key: |\n    ${SHORT}\n    ${SHORT}\n`,
  `{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {tls.key: ${SHORT}}}\n`,
  `apiVersion: v1\nkind: Secret\nmetadata: {name: s, name: t}\ntype: wrong\ndata: {tls.key: ${KEY}}\n`,
  `apiVersion: v1, kind: Secret, stringData: {tls.key: ${SHORT}}\n`,
  `kind: List\napiVersion: v1\nitems:\n- kind: Secret\n  stringData:\n    tls.key: ${SHORT}\n`,
  `apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\ntype: wrong\nstringData:\n  tls.key: ${SHORT}\n  tls.key: ${SHORT}\n`,
];
const OTHERS = [
  "apiVersion: getambassador.io/v9\nkind: Mapping\nmetadata:\n  name: m\nspec:\n  prefix: /\n  service: a\n",
  "apiVersion: getambassador.io/v2\nkind: Mapping\nmetadata:\n  name: m\nspec:\n  prefx: /\n",
  "kind: [\n",
  "a: 1\na: 2\n",
];

it("no finding shows key material, wherever it stands and whatever is broken around it", () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...SECRETS, ...OTHERS), { minLength: 1, maxLength: 4 }),
      fc.nat(400),
      (documents, cut) => {
        const whole = documents.join("---\n");
        for (const text of [whole, whole.slice(0, cut)]) {
          const file = parseYaml("f.yaml", text);
          const found = [
            ...file.diagnostics,
            ...file.objects.flatMap((raw) => parseObject(raw, "default").diagnostics),
          ];
          for (const diagnostic of found) {
            const shown = renderText(diagnostic, () => text) + JSON.stringify(diagnostic);
            assert.ok(!shown.includes(SHORT.slice(0, 12)) && !shown.includes(KEY.slice(0, 12)), shown);
          }
        }
      },
    ),
    { numRuns: 500 },
  );
});

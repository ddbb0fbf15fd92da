import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { loadGateway } from "../../src/cli/load.ts";
import { findMigrations } from "../../src/cli/migrate.ts";
import { goldenCases } from "./case.ts";

const FLAGS = { ambassadorId: "default" };

test("whatever stops has an error in the migration report, for every golden case", async () => {
  const unsaid: string[] = [];
  for (const { name, folder } of goldenCases()) {
    const file = join(folder, "input.yaml");
    if (!existsSync(file)) continue;
    const [{ findings }, { compilation }] = await Promise.all([
      findMigrations([file], FLAGS),
      loadGateway([file], FLAGS),
    ]);
    const errors = findings.filter(({ severity }) => severity === "error");
    const isSaid = (origin: string, part: string): boolean => {
      const [, namespace, object] = origin.split("/");
      return errors.some(
        ({ code, subject, now }) =>
          code === "access-control-closes" ||
          (subject.namespace === namespace && subject.name === object) ||
          now.includes(part),
      );
    };
    const { routes, tcpListeners = [], virtualHosts } = compilation.model;
    const chains = tcpListeners.flatMap((listener) => listener.chains);
    for (const { name: mapping, action } of [...routes, ...chains].flatMap(
      ({ destinations }): readonly { name: string; action: { kind: string; code?: string } }[] =>
        destinations,
    ))
      if (action.kind === "fail" && !isSaid(mapping, mapping))
        unsaid.push(`${name}: ${mapping} ${action.code}`);
    for (const { domain, origin, tls } of virtualHosts)
      if (tls.mode === "refuse" && !isSaid(origin, domain))
        unsaid.push(`${name}: ${domain} of ${origin}, ${tls.code}`);
  }
  assert.deepEqual(unsaid, []);
});

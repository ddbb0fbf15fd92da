import type { CredentialMaterial, CredentialOrigin } from "../../../src/credentials/credential.ts";
import { createFileSource, type FileSource } from "../../../src/sources/files/files.ts";
import { createLogger } from "../../../src/telemetry/logger.ts";

/** Stands where the credential store does, and writes down what it is told. */
export class Offers {
  readonly held = new Map<string, { material: CredentialMaterial; origin: CredentialOrigin }>();
  readonly told: string[] = [];

  offer(name: string, material: CredentialMaterial, origin: CredentialOrigin): void {
    this.told.push(`offer ${name}`);
    this.held.set(name, { material, origin });
  }

  remove(name: string): void {
    this.told.push(`remove ${name}`);
    this.held.delete(name);
  }
}

export function sourceOf(root: string, credentials: Offers = new Offers()): FileSource {
  return createFileSource({
    paths: [root],
    credentials,
    ambassadorId: "default",
    logger: createLogger("silent"),
  });
}

/** The names of the Mappings that a source gives now, and its findings as `code path`. */
export async function seen(
  source: FileSource,
): Promise<{ mappings: string[]; findings: string[]; complete: boolean }> {
  const { resources, diagnostics, complete } = await source.load();
  return {
    mappings: resources.mappings.map(({ name }) => name),
    findings: diagnostics.map(({ code, source: at }) => `${code} ${at?.file.split("/").at(-1)}:${at?.line}`),
    complete,
  };
}

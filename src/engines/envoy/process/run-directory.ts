import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What one running gateway needs in the file system: two sockets and the bootstrap. Its owner alone may look in. */
export interface RunDirectory {
  readonly path: string;
  readonly xdsSocket: string;
  readonly adminSocket: string;
  readonly bootstrap: string;
  remove(): void;
}

/** A folder of mode 0700, made anew. */
export function createRunDirectory(): RunDirectory {
  const path = mkdtempSync(join(roomFor("credence-XXXXXX/admin.sock"), "credence-"));
  return {
    path,
    xdsSocket: join(path, "xds.sock"),
    adminSocket: join(path, "admin.sock"),
    bootstrap: join(path, "bootstrap.json"),
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** The system's folder for temporary files, unless a socket's path in it is longer than the kernel takes. */
function roomFor(longest: string): string {
  const usual = tmpdir();
  return Buffer.byteLength(join(usual, longest)) <= LONGEST_SOCKET_PATH ? usual : "/tmp";
}

/** sun_path: 108 bytes on Linux, 104 elsewhere, the last one zero. */
const LONGEST_SOCKET_PATH = 103;

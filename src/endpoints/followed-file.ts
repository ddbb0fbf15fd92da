import { readFileSync, statSync } from "node:fs";

/** What a small file says, looked at again when it is asked for and a second has passed; the same object while nothing changes. */
export function followedFile<Content>(
  path: string,
  parse: (text: string | null) => Content,
  now: () => number,
): () => Content {
  let lookedAt = Number.NEGATIVE_INFINITY;
  let state: string | undefined;
  let content: Content;
  return () => {
    const time = now();
    if (time >= lookedAt && time - lookedAt < LOOK_MS) return content;
    lookedAt = time;
    const before = state;
    state = stateOf(path);
    if (state !== before) content = parse(readText(path));
    return content;
  };
}

function stateOf(path: string): string {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(path);
    return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

const LOOK_MS = 1_000;

/**
 * Brings a request path into the one form that is matched and forwarded, as 1.14's `normalize_path` does: dot segments
 * removed (RFC 3986 §5.2.4, `%2e` counts as a dot), percent-encoded unreserved characters decoded (§6.2.2.2), those that no
 * path has (`"<>^{|}` and the backtick) encoded, `\` read as `/`. A dot segment with parameters (`..;x`) is one too, as for
 * Envoy and for servers that take parameters off first. Otherwise `/public/../admin` would match one route and be served by
 * another.
 */
export function normalisePath(path: string, options: PathOptions): NormalisedPath {
  const queryAt = path.indexOf("?");
  const raw = queryAt === -1 ? path : path.slice(0, queryAt);
  const query = queryAt === -1 ? "" : path.slice(queryAt);
  if (!needsWork(raw)) return { path };

  if (MALFORMED_ESCAPE.test(raw)) return { error: "malformed percent-encoding in the path" };
  if (/%00/.test(raw)) return { error: "encoded NUL in the path" };
  if (options.rejectEscapedSlashes && ESCAPED_SLASH.test(raw)) return { error: "escaped slash in the path" };

  let clean = raw.replace(/%([0-9A-Fa-f]{2})/g, (escaped, hex: string) => {
    const char = String.fromCharCode(Number.parseInt(hex, 16));
    return UNRESERVED.test(char) ? char : escaped;
  });
  clean = clean.replaceAll("\\", "/");
  if (options.isRewritten !== true)
    clean = clean.replace(NO_PATH, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  const normalised = removeDotSegments(clean);
  // A path that climbs above the root is refused rather than clamped: nobody sends it in good faith.
  if (normalised === null) return { error: "path climbs above the root" };
  // Behind the dots, as in Envoy: `/a//../b` is `/a/b` (RFC 3986 §5.2.4), whether slashes are merged or not.
  const merged = options.mergeSlashes ? normalised.replace(/\/{2,}/g, "/") : normalised;
  return { path: merged + query };
}

export interface PathOptions {
  readonly mergeSlashes: boolean;
  readonly rejectEscapedSlashes: boolean;
  /** A request's path has been in its normal form, and what somebody wrote is in it now: his characters stay as they are. */
  readonly isRewritten?: true;
}

export type NormalisedPath =
  | { readonly path: string; readonly error?: undefined }
  | { readonly error: string; readonly path?: undefined };

const MALFORMED_ESCAPE = /%(?![0-9A-Fa-f]{2})/;
const ESCAPED_SLASH = /%(?:2f|5c)/i;
/** Of what a target may hold (RFC 3986 §3.3 has them in no path). */
const NO_PATH = /["<>^`{|}]/g;
const UNRESERVED = /[A-Za-z0-9\-._~]/;

/** Most paths have none of these characters, no `//` and no `/.`, and are taken as they are. */
function needsWork(path: string): boolean {
  let before = 0;
  for (let index = 0; index < path.length; index++) {
    const code = path.charCodeAt(index);
    if (SPECIAL[code] === 1) return true;
    if (before === SLASH && (code === SLASH || code === DOT)) return true;
    before = code;
  }
  return false;
}

const SPECIAL = new Uint8Array(128);
for (const character of '%\\"<>^`{|}') SPECIAL[character.charCodeAt(0)] = 1;
const SLASH = 0x2f;
const DOT = 0x2e;

function removeDotSegments(path: string): string | null {
  const kept: string[] = [];
  const segments = path.slice(1).split("/");
  for (const [index, segment] of segments.entries()) {
    const isLast = index === segments.length - 1;
    const [name] = segment.startsWith(".") ? segment.split(";", 1) : [segment];
    if (name === "..") {
      if (kept.length === 0) return null;
      kept.pop();
      if (isLast) kept.push("");
    } else if (name === ".") {
      if (isLast) kept.push("");
    } else {
      kept.push(segment);
    }
  }
  return `/${kept.join("/")}`;
}

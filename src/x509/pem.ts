/** One block of PEM (RFC 7468), as found. */
export interface PemBlock {
  /** e.g. `CERTIFICATE`. */
  readonly label: string;
  /** From `-----BEGIN` to the end of `-----END …-----`, wrapped as RFC 7468 §2 asks; an encrypted one as it was. */
  readonly text: string;
  /** The header `Proc-Type: 4,ENCRYPTED` of RFC 1421 is there. */
  readonly encrypted: boolean;
}

export type PemResult =
  | { readonly ok: true; readonly blocks: readonly PemBlock[] }
  | { readonly ok: false; readonly reason: string };

/**
 * Reads every block of a PEM text. Text between blocks is commentary (RFC 7468 §2) and tolerated, so is a byte order mark;
 * inside a block nothing but base64 is, after the headers of RFC 1421. Never throws; reasons never quote the input, which
 * may be a key.
 */
export function parsePem(text: string, longest = MAX_PEM_CHARACTERS): PemResult {
  if (text.length > longest) return { ok: false, reason: `longer than ${longest} characters` };
  const blocks: PemBlock[] = [];
  let open: { label: string; lines: string[]; body: string[]; encrypted: boolean } | null = null;
  for (const [index, raw] of text
    .replace(/^\uFEFF/, "")
    .split(/\r\n|\n|\r/)
    .entries()) {
    const line = raw.trimEnd();
    const begin = BEGIN.exec(line);
    if (begin !== null) {
      if (open !== null) return { ok: false, reason: `line ${index + 1}: a block begins inside another` };
      open = { label: begin[1] as string, lines: [line], body: [], encrypted: false };
      continue;
    }
    if (open === null) {
      if (line.startsWith("-----END "))
        return { ok: false, reason: `line ${index + 1}: an end without a beginning` };
      continue;
    }
    open.lines.push(line);
    const end = END.exec(line);
    if (end !== null) {
      if (end[1] !== open.label)
        return { ok: false, reason: `line ${index + 1}: the end does not match the beginning` };
      const body = open.body.join("");
      if (!open.encrypted && !isBase64(body))
        return { ok: false, reason: `line ${index + 1}: the block is not base64` };
      const lines = open.encrypted ? open.lines : [open.lines[0], body.replace(/.{64}(?=.)/g, "$&\n"), line];
      blocks.push({ label: open.label, text: `${lines.join("\n")}\n`, encrypted: open.encrypted });
      open = null;
    } else if (line.includes("-----BEGIN ")) {
      // What `cat` makes of files without a newline at their end.
      return { ok: false, reason: `line ${index + 1}: a block begins on the line where another ends` };
    } else if (open.body.length === 0 && HEADER.test(line)) {
      if (/^Proc-Type:.*ENCRYPTED/.test(line)) open.encrypted = true;
    } else open.body.push(line.trim());
  }
  if (open !== null) return { ok: false, reason: "the last block has no end" };
  return { ok: true, blocks };
}

/** A bundle of a few hundred certificates fits; 1 MiB is also what a Secret may hold. */
const MAX_PEM_CHARACTERS = 1024 * 1024;
const BEGIN = /^-----BEGIN ([A-Z0-9 ]{1,64})-----$/;
const END = /^-----END ([A-Z0-9 ]{1,64})-----$/;
/** RFC 1421 headers, which old encrypted keys carry. */
const HEADER = /^[A-Za-z][A-Za-z0-9-]*: /;

function isBase64(body: string): boolean {
  return body.length > 0 && body.length % 4 === 0 && /^[A-Za-z0-9+/]+={0,2}$/.test(body);
}

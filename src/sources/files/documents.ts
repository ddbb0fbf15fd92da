/** A document of a YAML stream: its text with its own directives, and where in the file that begins. */
export interface DocumentText {
  readonly text: string;
  readonly offset: number;
}

/**
 * Cuts a YAML stream at its document markers, `---` and `...` at the start of a line and followed by nothing or white
 * space. YAML 1.2.2 forbids such a line in every scalar, block and quoted ones too (`c-forbidden`, §9.1.2), so no line
 * that looks like a marker is anything else. Documents without content are left out.
 */
export function splitDocuments(stream: string): DocumentText[] {
  const documents: DocumentText[] = [];
  let start = 0;
  // Directives and comments before the first `---`, or between `...` and `---`, belong to what follows.
  let prelude = true;
  let empty = true;
  const close = (end: number): void => {
    if (!empty) documents.push({ text: ownCopy(stream.slice(start, end)), offset: start });
    start = end;
    prelude = empty = true;
  };
  for (let at = 0; at < stream.length; ) {
    const newline = stream.indexOf("\n", at);
    const next = newline === -1 ? stream.length : newline + 1;
    const marker = markerAt(stream, at);
    if (marker === "---") {
      if (!prelude) close(at);
      prelude = false;
      empty &&= isBlank(stream, at + 3, next);
    } else if (marker === "...") {
      // What stands on the marker's line is an error that the parser tells.
      empty &&= isBlank(stream, at + 3, next);
      close(next);
    } else if (!isBlank(stream, at, next)) {
      const isDirective: boolean = prelude && stream[at] === "%";
      empty &&= isDirective;
      prelude &&= isDirective;
    }
    at = next;
  }
  close(stream.length);
  return documents;
}

function markerAt(stream: string, at: number): "---" | "..." | null {
  const first = stream[at];
  if (first !== "-" && first !== ".") return null;
  const marker = stream.slice(at, at + 3);
  if (marker !== "---" && marker !== "...") return null;
  const after = stream[at + 3];
  return after === undefined || " \t\r\n".includes(after) ? marker : null;
}

/** Nothing but white space, or a comment. */
function isBlank(stream: string, from: number, to: number): boolean {
  for (let at = from; at < to; at++) {
    const character = stream[at] as string;
    if (character === "#") return true;
    if (!" \t\r\n".includes(character)) return false;
  }
  return true;
}

/**
 * V8 makes a slice a view of the whole string. A name kept from one document would keep the file's Secrets in memory, so
 * each document gets characters of its own.
 */
function ownCopy(text: string): string {
  return Buffer.from(text, "utf16le").toString("utf16le");
}

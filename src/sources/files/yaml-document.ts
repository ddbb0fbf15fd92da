import { Composer, type CST, type Document, type ErrorCode, Lexer, Parser } from "yaml";

/** What is wrong with a document. The message never quotes it: what stands there may be a key. Offsets count in its text. */
export interface DocumentProblem {
  readonly code: "yaml-syntax" | "yaml-ambiguous" | "document-too-large";
  readonly message: string;
  readonly offset: number;
  /** Where the other place is that the message speaks of. */
  readonly other?: number;
}

/**
 * From the text of one document to its nodes, within bounds that hold before anything is built: size, parts, nesting.
 * YAML 1.2 core schema whatever `%YAML` says, no merge keys, keys are strings; a tag beyond that schema changes nothing.
 * Never throws.
 */
export function composeDocument(text: string): Document.Parsed | DocumentProblem | null {
  if (text.length > MAX_CHARACTERS) {
    const message = `the document is longer than ${MAX_CHARACTERS} characters`;
    return { code: "document-too-large", message, offset: contentOffset(text) };
  }
  const control = NOT_TEXT.exec(text);
  if (control !== null) {
    const code = control[0].charCodeAt(0).toString(16).padStart(2, "0");
    const message =
      control[0] === UNDECODABLE
        ? "a byte that is not UTF-8: another reader would see another text"
        : `the control character 0x${code} is not allowed in YAML`;
    return { code: "yaml-syntax", message, offset: control.index };
  }
  try {
    const tokens = tokensOf(text);
    if (!Array.isArray(tokens)) return tokens;
    let found: Document.Parsed | null = null;
    for (const document of new Composer(OPTIONS).compose(tokens)) {
      const [error] = document.errors;
      if (error !== undefined) return syntaxProblem(error.code, error.pos[0], text);
      found ??= document;
    }
    return found;
  } catch {
    // The library spreads long arrays over the stack.
    const message = "the document has more parts in a row than can be read";
    return { code: "document-too-large", message, offset: contentOffset(text) };
  }
}

/** Room for a Secret, which Kubernetes bounds at 1 MiB, in base64. */
const MAX_CHARACTERS = 2 * 1024 * 1024;
/** About a second of parsing. A mebibyte of short lines has fewer. */
const MAX_LEXEMES = 300_000;
/** Objects of Kubernetes stay far below; the library and `JSON` recurse. */
const MAX_NESTING = 100;
/** What a decoder puts where bytes are no UTF-8. */
const UNDECODABLE = "\uFFFD";
/** YAML 1.2.2 §5.1: no control character may stand anywhere, quoted or not. */
const NOT_TEXT = /[^\t\n\r -\uFFFC\uFFFE\uFFFF]/;

/** `uniqueKeys` compares every key with every other; whoever reads the nodes does it with a set. */
const OPTIONS = {
  schema: "core",
  merge: false,
  resolveKnownTags: false,
  stringKeys: true,
  uniqueKeys: false,
  prettyErrors: false,
  logLevel: "silent",
} as const;

function tokensOf(text: string): CST.Token[] | DocumentProblem {
  const parser = new Parser();
  const tokens: CST.Token[] = [];
  let lexemes = 0;
  for (const lexeme of new Lexer().lex(text)) {
    const offset = parser.offset;
    const bad = lexeme.startsWith('"') ? badEscape(lexeme) : -1;
    if (bad !== -1) return syntaxProblem("BAD_DQ_ESCAPE", offset + bad, text);
    tokens.push(...parser.next(lexeme));
    // The document and a scalar stand on the stack beside the collections.
    if (parser.stack.length > MAX_NESTING + 2)
      return { code: "yaml-syntax", message: `nested more than ${MAX_NESTING} levels deep`, offset };
    if (++lexemes > MAX_LEXEMES)
      return { code: "document-too-large", message: `more than ${MAX_LEXEMES} parts`, offset };
  }
  tokens.push(...parser.end());
  return tokens;
}

/** The first of them; the library would collect every one, and a mebibyte of them takes it seconds. */
function badEscape(quoted: string): number {
  for (const found of quoted.matchAll(ESCAPE)) if (found[1] === undefined) return found.index;
  return -1;
}

/** YAML 1.2.2 §5.7. */
const ESCAPE = /\\([0abt\tnvfre "/\\N_LP]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|\r?\n)?/g;

const QUOTED = /'[^']*'|"[^"]*"/g;

/** What is missing at the end is shown where the text ends, not where the next document begins. */
function syntaxProblem(code: ErrorCode, offset: number, text: string): DocumentProblem {
  const at = Math.min(offset, text.trimEnd().length);
  const [line = ""] = text.slice(text.lastIndexOf("\n", at - 1) + 1).split("\n", 1);
  const template = line.replace(QUOTED, "").includes("{{")
    ? ": this looks like a template that was not rendered"
    : "";
  return { code: "yaml-syntax", message: `${SENTENCES[code]}${template}`, offset: at };
}

function contentOffset(text: string): number {
  return (/^(?:---)?\s*/.exec(text) as RegExpExecArray)[0].length;
}

/** Our own words: the library's may quote what stands there. */
const SENTENCES: Readonly<Record<ErrorCode, string>> = {
  ALIAS_PROPS: "an alias has an anchor or a tag",
  BAD_ALIAS: "an anchor or alias has no name, or one that ends in a colon",
  BAD_COLLECTION_TYPE: "a tag does not fit the collection",
  BAD_DIRECTIVE: "a directive (%) is malformed",
  BAD_DQ_ESCAPE: "a double-quoted text has an escape sequence that YAML does not know",
  BAD_INDENT: "the indentation is wrong, or a bracket or brace before it is not closed",
  BAD_PROP_ORDER: "an anchor or tag stands before the indicator that it must follow",
  BAD_SCALAR_START: "a plain text begins with a character that needs quotes",
  BLOCK_AS_IMPLICIT_KEY: "a map or list stands on one line with the key of another map",
  BLOCK_IN_FLOW: "a block stands inside brackets or braces",
  DUPLICATE_KEY: "a key is written twice",
  IMPOSSIBLE: "the document cannot be read",
  KEY_OVER_1024_CHARS: "a key is longer than 1024 characters",
  MISSING_CHAR: "a quote, bracket, brace, comma, colon, space or `---` is missing",
  MULTILINE_IMPLICIT_KEY: "a key goes over several lines, or a line has no colon",
  MULTIPLE_ANCHORS: "a node has two anchors",
  MULTIPLE_DOCS: "a document begins inside another",
  MULTIPLE_TAGS: "a node has two tags",
  NON_STRING_KEY: "a key is no text",
  RESOURCE_EXHAUSTION: "nested too deeply",
  TAB_AS_INDENT: "a tab is used as indentation",
  TAG_RESOLVE_FAILED: "a tag cannot be followed",
  UNEXPECTED_TOKEN: "something stands here that does not belong here",
};

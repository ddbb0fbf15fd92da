/** The first line, as far as a terminal should have it. */
export function printable(text: string): string {
  const line = (text.split(/[\r\n]/, 1)[0] as string).replace(/[^\x20-\x7e]/g, "·");
  return line.length > 60 ? `"${line.slice(0, 60)}…"` : `"${line}"`;
}

/** The content of a body whose framing BodyReader has checked; a chunked one may still be incomplete. */
export function contentOf(framed: Buffer, chunked: boolean): Buffer {
  if (!chunked) return framed;
  const pieces: Buffer[] = [];
  for (let at = 0; at < framed.length; ) {
    const lineEnd = framed.indexOf("\r\n", at);
    if (lineEnd === -1) break;
    // Extensions follow a semicolon, which parseInt does not read.
    const size = Number.parseInt(framed.toString("latin1", at, lineEnd), 16);
    if (!(size > 0)) break;
    pieces.push(framed.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = lineEnd + 2 + size + 2;
  }
  return Buffer.concat(pieces);
}

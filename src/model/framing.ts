/**
 * Fields that frame a message or choose its connection, in lower case. Adding or removing one would make two readings of
 * the message (RFC 9112 §6), so compile reports whoever asks for it, and engines do not do it.
 */
export const FRAMING_FIELDS: ReadonlySet<string> = new Set(
  "connection content-length host keep-alive proxy-connection te trailer transfer-encoding upgrade".split(
    " ",
  ),
);

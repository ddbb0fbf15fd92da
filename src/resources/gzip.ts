import { Type } from "typebox";
import { block, count, doc, flag, oneOf } from "./field-doc.ts";

/** `gzip` of Module ambassador (reference §2.7), with the words of 1.14's pages and of Envoy's API. */
export const GZIP = block(
  {
    memory_level: count({ does: "Memory of zlib for its state.", byDefault: "5" }, 1, 9),
    min_content_length: count({ does: "Shorter responses are not compressed.", byDefault: "30" }),
    compression_level: oneOf(
      ["DEFAULT", "DEFAULT_COMPRESSION", "BEST", "BEST_COMPRESSION", "SPEED", "BEST_SPEED"],
      { does: "How much time is spent on it.", byDefault: "DEFAULT" },
    ),
    compression_strategy: oneOf(
      ["DEFAULT", "DEFAULT_STRATEGY", "FILTERED", "HUFFMAN", "HUFFMAN_ONLY", "RLE", "FIXED"],
      { does: "zlib's strategy.", byDefault: "DEFAULT" },
    ),
    window_bits: count({ does: "zlib's window.", byDefault: "12" }, 9, 15),
    content_type: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        minItems: 1,
        ...doc({
          is: "a list of content types",
          does: "Which responses are compressed.",
          byDefault: "HTML, JSON, JavaScript, CSS, SVG, XML and plain text",
          example: ["application/json"],
        }),
      }),
    ),
    disable_on_etag_header: flag({ does: "Leaves responses with an ETag as they are.", byDefault: "false" }),
    remove_accept_encoding_header: flag({
      does: "Upstreams do not learn that the client takes gzip.",
      byDefault: "false",
    }),
  },
  {
    is: "a map of memory_level, min_content_length, compression_level, compression_strategy, window_bits, content_type, disable_on_etag_header and remove_accept_encoding_header",
    does: "Compresses responses for clients that take gzip.",
    example: { min_content_length: 1024, content_type: ["application/json"] },
    note: "Of the envoy engine; the node engine passes responses on as they are.",
  },
);

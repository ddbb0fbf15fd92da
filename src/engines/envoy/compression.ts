import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { GzipSettings, HttpSettings } from "../../model/http.ts";
import { pack } from "../../protobuf/any.ts";
import {
  Gzip_CompressionLevel as Level,
  Gzip_CompressionStrategy as Strategy,
  GzipSchema,
} from "../../protobuf/generated/envoy/extensions/compression/gzip/compressor/v3/gzip_pb.js";
import { CompressorSchema } from "../../protobuf/generated/envoy/extensions/filters/http/compressor/v3/compressor_pb.js";
import type { HttpFilterSchema } from "../../protobuf/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";

/** Responses in gzip, for clients that take it. Requests are passed on as they are. */
export function compressionFilters({ gzip }: HttpSettings): MessageInitShape<typeof HttpFilterSchema>[] {
  if (gzip === undefined) return [];
  const { minContentLength, contentTypes = [], keepsEtagged = false, hidesAcceptEncoding = false } = gzip;
  const message = create(CompressorSchema, {
    responseDirectionConfig: {
      commonConfig: {
        ...(minContentLength === undefined ? {} : { minContentLength }),
        contentType: [...contentTypes],
      },
      disableOnEtagHeader: keepsEtagged,
      removeAcceptEncodingHeader: hidesAcceptEncoding,
    },
    compressorLibrary: { name: "gzip", typedConfig: pack(GzipSchema, create(GzipSchema, library(gzip))) },
  });
  return [
    {
      name: "envoy.filters.http.compressor",
      configType: { case: "typedConfig", value: pack(CompressorSchema, message) },
    },
  ];
}

function library({
  memoryLevel,
  windowBits,
  level,
  strategy,
}: GzipSettings): MessageInitShape<typeof GzipSchema> {
  return {
    ...(memoryLevel === undefined ? {} : { memoryLevel }),
    ...(windowBits === undefined ? {} : { windowBits }),
    ...(level === undefined ? {} : { compressionLevel: LEVELS[level] }),
    ...(strategy === undefined ? {} : { compressionStrategy: STRATEGIES[strategy] }),
  };
}

const LEVELS = { best: Level.BEST_COMPRESSION, speed: Level.BEST_SPEED } as const;

const STRATEGIES = {
  filtered: Strategy.FILTERED,
  huffman: Strategy.HUFFMAN_ONLY,
  rle: Strategy.RLE,
  fixed: Strategy.FIXED,
} as const;

import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { type EngineName, limitOf } from "../model/capabilities.ts";
import type { GzipSettings, HttpSettings } from "../model/http.ts";
import type { ModuleConfig, ModuleResource } from "../resources/module.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";

/** The Module's `gzip`, for an engine that compresses. Nothing fails without it: it is said, and left out. */
export function gzipSettings(
  module: ModuleResource | undefined,
  engine: EngineName,
  diagnostics: Diagnostic[],
): Pick<HttpSettings, "gzip"> {
  const { gzip } = module?.spec ?? {};
  if (module === undefined || gzip === undefined) return {};
  const limit = limitOf(engine, "gzip");
  if (limit === null) return { gzip: settingsOf(gzip) };
  const at = { subject: subjectOf(module), source: positionOf(module, "gzip") };
  diagnostics.push(diagnose("module-key-not-supported", { ...at, ...limit }));
  return {};
}

function settingsOf(gzip: NonNullable<ModuleConfig["gzip"]>): GzipSettings {
  const level = LEVELS[gzip.compression_level ?? "DEFAULT"];
  const strategy = STRATEGIES[gzip.compression_strategy ?? "DEFAULT"];
  return {
    ...(gzip.memory_level === undefined ? {} : { memoryLevel: gzip.memory_level }),
    ...(gzip.min_content_length === undefined ? {} : { minContentLength: gzip.min_content_length }),
    ...(level === null ? {} : { level }),
    ...(strategy === null ? {} : { strategy }),
    ...(gzip.window_bits === undefined ? {} : { windowBits: gzip.window_bits }),
    ...(gzip.content_type === undefined ? {} : { contentTypes: [...new Set(gzip.content_type)].sort() }),
    ...(gzip.disable_on_etag_header === true ? { keepsEtagged: true as const } : {}),
    ...(gzip.remove_accept_encoding_header === true ? { hidesAcceptEncoding: true as const } : {}),
  };
}

const LEVELS = {
  DEFAULT: null,
  DEFAULT_COMPRESSION: null,
  BEST: "best",
  BEST_COMPRESSION: "best",
  SPEED: "speed",
  BEST_SPEED: "speed",
} as const;

const STRATEGIES = {
  DEFAULT: null,
  DEFAULT_STRATEGY: null,
  FILTERED: "filtered",
  HUFFMAN: "huffman",
  HUFFMAN_ONLY: "huffman",
  RLE: "rle",
  FIXED: "fixed",
} as const;

import type { CorsPolicy } from "../model/route.ts";
import type { MappingSpec } from "../resources/mapping.ts";

/** The policy of a `cors` block (reference §2.5.2): origins are compared as they are, texts are split at commas. */
export function corsPolicy(written: MappingSpec["cors"]): CorsPolicy | undefined {
  if (written === undefined) return undefined;
  const methods = words(written.methods).join(", ");
  const headers = words(written.headers).join(", ");
  const exposedHeaders = words(written.exposed_headers).join(", ");
  return {
    origins: words(written.origins),
    ...(methods === "" ? {} : { methods }),
    ...(headers === "" ? {} : { headers }),
    ...(exposedHeaders === "" ? {} : { exposedHeaders }),
    credentials: written.credentials ?? false,
    ...(written.max_age === undefined ? {} : { maxAgeSeconds: Number(written.max_age) }),
  };
}

function words(value: string | readonly string[] | undefined): string[] {
  const list = typeof value === "string" ? value.split(/[,\r\n]/) : (value ?? []);
  return list.map((word) => word.trim()).filter((word) => word !== "");
}

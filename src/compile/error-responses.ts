import type { ErrorResponse } from "../model/route.ts";
import type { MappingSpec } from "../resources/mapping.ts";

/** What replaces the bodies of error responses (reference §2.5.2). A body in a file of the old pod is not there to be read. */
export function errorResponses(
  written: MappingSpec["error_response_overrides"],
): ErrorResponse[] | undefined {
  const found = (written ?? []).flatMap(({ on_status_code: status, body }): ErrorResponse[] => {
    if (body.json_format !== undefined)
      return [
        {
          status,
          contentType: body.content_type ?? "application/json",
          body: JSON.stringify(body.json_format),
        },
      ];
    if (body.text_format !== undefined)
      return [{ status, contentType: body.content_type ?? "text/plain", body: body.text_format }];
    return [];
  });
  return found.length === 0 ? undefined : found;
}

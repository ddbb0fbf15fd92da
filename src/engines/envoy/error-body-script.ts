import type { ErrorResponse } from "../../model/route.ts";
import { FAILURE_ID } from "./local-replies.ts";

/**
 * Lua that replaces the bodies of responses with these statuses, the operators in them filled in. `ownOnly`: those of
 * failures alone, not what probes are told.
 */
export function errorBodyScript(
  responses: readonly ErrorResponse[],
  { ownOnly }: { readonly ownOnly: boolean },
): string {
  const templates = new Map<number, string>();
  // Without the method nobody knows whether there may be a body.
  const requestNames = new Set([":method"]);
  for (const response of responses) {
    // The first of a status counts.
    if (templates.has(response.status)) continue;
    const { parts, names } = partsOf(response.body);
    for (const name of names) requestNames.add(name);
    templates.set(
      response.status,
      `[${text(String(response.status))}] = { type = ${text(response.contentType)}, quote = ${quoteOf(response)}, ` +
        `parts = { ${parts.join(", ")} } },`,
    );
  }
  return [
    LIBRARY,
    `local responses = {\n${[...templates.values()].join("\n")}\n}`,
    `local wanted = { ${[...requestNames].sort().map(text).join(", ")} }`,
    `local own_only = ${ownOnly}`,
    ON_REQUEST,
    ON_RESPONSE,
  ].join("\n");
}

const OPERATOR = /%(?:%|([A-Z_]+)(?:\(([^)]*)\))?(?::(\d+))?%)/g;

function partsOf(body: string): { readonly parts: readonly string[]; readonly names: readonly string[] } {
  const parts: string[] = [];
  const names: string[] = [];
  let from = 0;
  for (const found of body.matchAll(OPERATOR)) {
    parts.push(text(body.slice(from, found.index)));
    const [whole, name = "", argument = "", length] = found;
    const fields = argument.toLowerCase().split("?").filter(isReadable);
    if (name === "REQ") names.push(...fields);
    const of = OPERATORS.has(name) ? name : "";
    parts.push(
      whole === "%%"
        ? text("%")
        : `{ of = ${text(of)}, names = { ${fields.map(text).join(", ")} }, length = ${length ?? -1} }`,
    );
    from = found.index + whole.length;
  }
  parts.push(text(body.slice(from)));
  return { parts, names };
}

const OPERATORS: ReadonlySet<string> = new Set(["RESPONSE_CODE", "PROTOCOL", "REQ", "RESP"]);
const PSEUDO: ReadonlySet<string> = new Set([":path", ":method", ":authority", ":status"]);

/** What only the gateway may assert is not there, and Lua takes no empty name. */
function isReadable(name: string): boolean {
  if (name.startsWith(":")) return PSEUDO.has(name);
  return name !== "" && !name.startsWith("x-envoy-") && name !== "l5d-dst-override";
}

function quoteOf({ json, contentType }: ErrorResponse): string {
  if (json === true) return "json";
  // The request's own words may not become markup of our page.
  return /html|xml/i.test(contentType) ? "markup" : "plain";
}

/** A Lua string of the text's UTF-8 bytes. */
function text(value: string): string {
  let out = "";
  for (const byte of Buffer.from(value, "utf8")) {
    const isPlain = byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c;
    out += isPlain ? String.fromCharCode(byte) : `\\${String(byte).padStart(3, "0")}`;
  }
  return `"${out}"`;
}

const LIBRARY = String.raw`
local short = { ["\8"] = "\\b", ["\9"] = "\\t", ["\10"] = "\\n", ["\12"] = "\\f", ["\13"] = "\\r", ['"'] = '\\"', ["\\"] = "\\\\" }
local function plain(value) return value end
local function json(value)
  return (value:gsub('[%c"\\\127-\255]', function(c) return short[c] or string.format("\\u%04x", c:byte()) end))
end
local function markup(value)
  return (value:gsub("[&<>\"']", function(c) return string.format("&#%d;", c:byte()) end))
end
local function joined(headers, name)
  local count = headers:getNumValues(name)
  if count == 0 then return nil end
  local values = {}
  for index = 0, count - 1 do values[#values + 1] = headers:getAtIndex(name, index) end
  return table.concat(values, ",")
end
local of_the_body = {
  "accept-ranges", "content-digest", "content-disposition", "content-encoding", "content-language", "content-length",
  "content-location", "content-md5", "content-range", "content-type", "digest", "etag", "last-modified", "repr-digest",
  "trailer", "transfer-encoding",
}`;

/** What is wanted of the request, whose headers are out of sight by the time of the response. */
const ON_REQUEST = `
function envoy_on_request(handle)
  local headers = handle:headers()
  local metadata = handle:streamInfo():dynamicMetadata()
  for _, name in ipairs(wanted) do
    local value = joined(headers, name == "host" and ":authority" or name)
    if value ~= nil then metadata:set("credence.error_bodies", name, value) end
  end
end`;

const LENGTH = '(tonumber(headers:get("content-length") or "") or 0)';
/**
 * Headers are changed before the body is asked for: after that they may be on their way. Envoy would send the body of a
 * response to HEAD, which a client takes for the next response: there is none, and none where the method is not known.
 * A body is replaced as it comes: whole, it could be longer than Envoy holds back, or never there.
 */
const ON_RESPONSE = `
function envoy_on_response(handle)
  local headers = handle:headers()
  local status = headers:get(":status")
  local response = responses[status]
  if response == nil then return end
  local request = handle:streamInfo():dynamicMetadata():get("credence.error_bodies")
  if request == nil then return end
  local is_own = headers:get("${FAILURE_ID}") ~= nil
  if own_only and not is_own then return end
  local function value_of(part)
    if part.of == "RESPONSE_CODE" then return status end
    if part.of == "PROTOCOL" then return handle:streamInfo():protocol() end
    for _, name in ipairs(part.names) do
      local value = nil
      if part.of == "REQ" then value = request[name]
      elseif name == ":status" then value = status
      elseif part.of == "RESP" and not is_own then value = joined(headers, name) end
      if value ~= nil then return value end
    end
    return "-"
  end
  local out = {}
  for index, part in ipairs(response.parts) do
    if type(part) == "string" then out[index] = part
    else out[index] = response.quote(value_of(part):sub(1, part.length)) end
  end
  local body = table.concat(out)
  local is_head = request[":method"] == "HEAD"
  local has_body = not is_head and (${LENGTH} > 0 or headers:get("transfer-encoding") ~= nil)
  for _, name in ipairs(of_the_body) do headers:remove(name) end
  headers:add("content-type", response.type)
  if is_head or has_body then headers:add("content-length", tostring(#body)) end
  if has_body then
    for chunk in handle:bodyChunks() do
      chunk:setBytes(body)
      body = ""
    end
  elseif not is_head then handle:body(true):setBytes(body) end
end`;

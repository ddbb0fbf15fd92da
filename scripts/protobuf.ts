/**
 * Generates the protobuf messages that src/protobuf/index.ts names, into the git-ignored src/protobuf/generated/: JavaScript with
 * declarations, because type stripping refuses the `enum`s of generated TypeScript. Runs at `npm install`; does nothing when what
 * is there was made from the same inputs.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const output = join(root, "src/protobuf/generated");
const work = join(root, ".cache/protobuf");

/** Where Envoy's protos come from: the package ships them with what they import. */
const MODULES = ["envoy-api", "xds", "googleapis", "protoc-gen-validate"];

/** Protos of our own text, in a module of that name. */
const OWN = join(root, "scripts/protobuf");

/** What is generated, with all that it imports. A folder stands for its files. */
const ENTRIES = [
  "envoy-api/envoy/service/discovery/v3",
  "envoy-api/envoy/config/bootstrap/v3/bootstrap.proto",
  "envoy-api/envoy/config/trace/v3/datadog.proto",
  "envoy-api/envoy/config/trace/v3/zipkin.proto",
  "envoy-api/envoy/data/accesslog/v3/accesslog.proto",
  "envoy-api/envoy/extensions/access_loggers/file/v3",
  "envoy-api/envoy/extensions/access_loggers/filters/cel/v3",
  "envoy-api/envoy/extensions/access_loggers/grpc/v3",
  "envoy-api/envoy/extensions/access_loggers/stream/v3",
  "envoy-api/envoy/extensions/compression/gzip/compressor/v3",
  "envoy-api/envoy/extensions/filters/http/buffer/v3",
  "envoy-api/envoy/extensions/filters/http/compressor/v3",
  "envoy-api/envoy/extensions/filters/http/cors/v3",
  "envoy-api/envoy/extensions/filters/http/custom_response/v3",
  "envoy-api/envoy/extensions/filters/http/ext_authz/v3",
  "envoy-api/envoy/extensions/filters/http/grpc_http1_bridge/v3",
  "envoy-api/envoy/extensions/filters/http/grpc_stats/v3",
  "envoy-api/envoy/extensions/filters/http/grpc_web/v3",
  "envoy-api/envoy/extensions/filters/http/header_mutation/v3",
  "envoy-api/envoy/extensions/filters/http/health_check/v3",
  "envoy-api/envoy/extensions/filters/http/header_to_metadata/v3",
  "envoy-api/envoy/extensions/filters/http/lua/v3",
  "envoy-api/envoy/extensions/filters/http/on_demand/v3",
  "envoy-api/envoy/extensions/filters/http/ratelimit/v3",
  "envoy-api/envoy/extensions/filters/http/rbac/v3",
  "envoy-api/envoy/extensions/filters/http/router/v3",
  "envoy-api/envoy/extensions/filters/http/set_filter_state/v3",
  "envoy-api/envoy/extensions/filters/http/set_metadata/v3",
  "envoy-api/envoy/extensions/filters/listener/http_inspector/v3",
  "envoy-api/envoy/extensions/filters/listener/proxy_protocol/v3",
  "envoy-api/envoy/extensions/filters/listener/tls_inspector/v3",
  "envoy-api/envoy/extensions/filters/network/direct_response/v3",
  "envoy-api/envoy/extensions/filters/network/http_connection_manager/v3",
  "envoy-api/envoy/extensions/filters/network/rbac/v3",
  "envoy-api/envoy/extensions/filters/network/set_filter_state/v3",
  "envoy-api/envoy/extensions/filters/network/tcp_proxy/v3",
  "envoy-api/envoy/extensions/formatter/cel/v3",
  "envoy-api/envoy/extensions/http/custom_response/local_response_policy/v3",
  "envoy-api/envoy/extensions/http/early_header_mutation/header_mutation/v3",
  "envoy-api/envoy/extensions/http/header_formatters/preserve_case/v3",
  "envoy-api/envoy/extensions/http/original_ip_detection/xff/v3",
  "envoy-api/envoy/extensions/load_balancing_policies",
  "envoy-api/envoy/extensions/matching/common_inputs/network/v3",
  "envoy-api/envoy/extensions/matching/common_inputs/ssl/v3",
  "envoy-api/envoy/extensions/matching/input_matchers/ip/v3",
  "envoy-api/envoy/extensions/rbac/matchers/upstream_ip_port/v3",
  "envoy-api/envoy/extensions/request_id/uuid/v3",
  "envoy-api/envoy/extensions/retry/host/previous_hosts/v3",
  "envoy-api/envoy/extensions/transport_sockets/proxy_protocol/v3",
  "envoy-api/envoy/extensions/transport_sockets/raw_buffer/v3",
  "envoy-api/envoy/extensions/transport_sockets/tls/v3",
  "envoy-api/envoy/extensions/upstreams/http/v3",
  "envoy-api/envoy/service/accesslog/v3",
  "envoy-api/envoy/service/auth/v3",
  "envoy-api/envoy/service/ratelimit/v3",
  "envoy-api/envoy/service/secret/v3",
  "envoy-api/envoy/type/matcher/v3/http_inputs.proto",
  "xds/xds/type/matcher/v3",
  "own/envoy/extensions/formatter/generic_secret/v3/generic_secret.proto",
  "own/spiffe/workload.proto",
];

const source = join(root, "node_modules/@grpc/grpc-js-xds/deps");
const plugin = join(root, "node_modules/.bin/protoc-gen-es");
const stamp = createHash("sha256")
  .update(readFileSync(fileURLToPath(import.meta.url)))
  .update(readFileSync(join(OWN, "spiffe/workload.proto")))
  .update(readFileSync(join(OWN, "envoy/extensions/formatter/generic_secret/v3/generic_secret.proto")))
  .update(readFileSync(join(root, "node_modules/@grpc/grpc-js-xds/package.json")))
  .update(readFileSync(join(root, "node_modules/@bufbuild/protoc-gen-es/package.json")))
  .digest("hex");

if (process.argv.includes("--force") || readStamp() !== stamp) generate();

function generate(): void {
  const started = Date.now();
  rmSync(work, { recursive: true, force: true });
  rmSync(output, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  for (const module of MODULES) cpSync(join(source, module), join(work, module), { recursive: true });
  cpSync(OWN, join(work, "own"), { recursive: true });
  mendValidate();
  mendRoutes();
  mendHeaderMutation();
  mendTcpProxy();
  mendExternalAuthorization();
  mendFormatter();
  writeFileSync(
    join(work, "buf.yaml"),
    JSON.stringify({ version: "v2", modules: [...MODULES, "own"].map((path) => ({ path })) }),
  );
  writeFileSync(
    join(work, "buf.gen.yaml"),
    JSON.stringify({
      version: "v2",
      plugins: [
        {
          local: plugin,
          out: output,
          opt: ["target=js+dts", "import_extension=js"],
          include_imports: true,
          include_wkt: false,
        },
      ],
    }),
  );
  const buf = join(root, "node_modules/.bin/buf");
  const paths = ENTRIES.flatMap((entry) => ["--path", entry]);
  const { status } = spawnSync(buf, ["generate", ...paths], { cwd: work, stdio: "inherit" });
  if (status !== 0 || !existsSync(output)) {
    console.error("protobuf: buf generate failed");
    process.exit(1);
  }
  writeFileSync(join(output, "stamp"), stamp);
  rmSync(work, { recursive: true, force: true });
  console.log(`protobuf: messages generated in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

/** The package's validate.proto is older than its Envoy protos, which set one field more of StringRules. */
function mendValidate(): void {
  const path = join(work, "protoc-gen-validate/validate/validate.proto");
  const text = readFileSync(path, "utf8");
  if (text.includes("ignore_empty = 26")) return;
  const mended = text.replace(/message StringRules \{/, "$&\n  optional bool ignore_empty = 26;\n");
  writeFileSync(path, mended);
}

/** Fields of Envoy 1.40 that are newer than the package's Envoy protos. */
function mendRoutes(): void {
  const path = join(work, "envoy-api/envoy/config/route/v3/route_components.proto");
  let text = readFileSync(path, "utf8");
  if (text.includes("request_headers_mutations")) return;
  text = text
    .replace(
      'import "envoy/config/core/v3/base.proto";',
      'import "envoy/config/common/mutation_rules/v3/mutation_rules.proto";\n$&',
    )
    .replace(
      'import "envoy/config/core/v3/proxy_protocol.proto";',
      '$&\nimport "envoy/config/core/v3/substitution_format_string.proto";',
    )
    .replace(
      "bool disable_shadow_host_suffix_append = 6;",
      "$&\n    repeated common.mutation_rules.v3.HeaderMutation request_headers_mutations = 7;\n" +
        "    string host_rewrite_literal = 8;",
    )
    .replace(
      /(message DirectResponseAction \{[\s\S]*?core\.v3\.DataSource body = 2;)/,
      "$1\n  core.v3.SubstitutionFormatString body_format = 3;",
    );
  writeFileSync(path, text);
}

/** Envoy 1.40 asks again where a kept connection closes as it is used. */
function mendExternalAuthorization(): void {
  const path = join(work, "envoy-api/envoy/extensions/filters/http/ext_authz/v3/ext_authz.proto");
  const text = readFileSync(path, "utf8");
  if (text.includes("RetryPolicy")) return;
  writeFileSync(
    path,
    text.replace(
      "AuthorizationResponse authorization_response = 8;",
      "$&\n\n  config.core.v3.RetryPolicy retry_policy = 9;",
    ),
  );
}

/** Expressions in a format may make numbers of texts in Envoy 1.40. */
function mendFormatter(): void {
  const path = join(work, "envoy-api/envoy/extensions/formatter/cel/v3/cel.proto");
  const text = readFileSync(path, "utf8");
  if (text.includes("cel_config")) return;
  writeFileSync(
    path,
    text.replace(
      /message Cel \{/,
      "$&\n  message Config {\n    bool enable_string_conversion = 1;\n  }\n  Config cel_config = 1;\n",
    ),
  );
}

/** Headers are removed by a pattern of their names, and trailers changed, in Envoy 1.40. */
function mendHeaderMutation(): void {
  const rules = join(work, "envoy-api/envoy/config/common/mutation_rules/v3/mutation_rules.proto");
  const text = readFileSync(rules, "utf8");
  if (text.includes("remove_on_match")) return;
  writeFileSync(
    rules,
    text
      .replace(
        /message HeaderMutation \{/,
        "$&\n  message RemoveOnMatch {\n    type.matcher.v3.StringMatcher key_matcher = 1;\n  }\n",
      )
      .replace(/(core\.v3\.HeaderValueOption append = 2.*;)/, "$1\n    RemoveOnMatch remove_on_match = 3;")
      .replace(
        /(import "envoy\/type\/matcher\/v3\/regex\.proto";)/,
        '$1\nimport "envoy/type/matcher/v3/string.proto";',
      ),
  );
  const filter = join(
    work,
    "envoy-api/envoy/extensions/filters/http/header_mutation/v3/header_mutation.proto",
  );
  writeFileSync(
    filter,
    readFileSync(filter, "utf8").replace(
      /repeated (\S+) response_mutations = 2;/,
      "$&\n  repeated $1 response_trailers_mutations = 4;\n  repeated $1 request_trailers_mutations = 5;",
    ),
  );
}

/** When a connection to the upstream is opened: Envoy 1.40 can wait until the client's handshake is done. */
function mendTcpProxy(): void {
  const path = join(work, "envoy-api/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.proto");
  const text = readFileSync(path, "utf8");
  if (text.includes("upstream_connect_mode")) return;
  writeFileSync(
    path,
    text
      .replace(
        /(\nmessage TcpProxy \{[\s\S]*?string stat_prefix = 1.*;)/,
        "$1\n  UpstreamConnectMode upstream_connect_mode = 21;\n  google.protobuf.UInt32Value max_early_data_bytes = 22;",
      )
      .replace(
        "\nmessage TcpProxy {",
        "\nenum UpstreamConnectMode {\n  IMMEDIATE = 0;\n  ON_DOWNSTREAM_DATA = 1;\n  ON_DOWNSTREAM_TLS_HANDSHAKE = 2;\n}\n$&",
      ),
  );
}

function readStamp(): string | null {
  try {
    return readFileSync(join(output, "stamp"), "utf8");
  } catch {
    return null;
  }
}

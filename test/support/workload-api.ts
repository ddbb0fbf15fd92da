import { X509Certificate, createPrivateKey } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  SpiffeWorkloadAPI,
  type X509BundlesResponseSchema,
  type X509SVIDResponseSchema,
} from "../../src/protobuf/generated/spiffe/workload_pb.js";
import type { Authority, IssuedCertificate } from "../../src/x509/authority.ts";
import { parsePem } from "../../src/x509/pem.ts";
import { Announcement, type GrpcServer, startGrpcServer } from "./grpc-server.ts";

type Svids = MessageInitShape<typeof X509SVIDResponseSchema>;
type Bundles = MessageInitShape<typeof X509BundlesResponseSchema>;

/** A SPIFFE agent as far as workloads see one: the Workload API, its X.509 part. */
export interface WorkloadApi extends GrpcServer {
  /** Streams of FetchX509SVID that are open. */
  readonly streams: number;
  /** Streams of it that were opened with the header of the standard, and without. */
  readonly opened: { withHeader: number; without: number };
  /** What everybody gets from now on: an answer, or the end of the stream with that status. */
  answer(said: Svids | Code): void;
  /** Streams that are opened from now on get nothing until the next answer. */
  fallSilent(): void;
}

export async function startWorkloadApi(): Promise<WorkloadApi> {
  const announcement = new Announcement<Svids | Code>();
  const opened = { withHeader: 0, without: 0 };
  let streams = 0;
  // Workload Endpoint §6: a request without the header is refused.
  const check = (headers: Headers): void => {
    if (headers.get("workload.spiffe.io") === "true") {
      opened.withHeader++;
      return;
    }
    opened.without++;
    throw new ConnectError("security header missing from request", Code.InvalidArgument);
  };
  const answers = async function* (context: { requestHeader: Headers; signal: AbortSignal }) {
    check(context.requestHeader);
    streams++;
    try {
      for await (const said of announcement.follow(context.signal)) {
        if (typeof said === "number") throw new ConnectError("no identity issued", said);
        yield said;
      }
    } finally {
      streams--;
    }
  };
  const server = await startGrpcServer((router) => {
    router.service(SpiffeWorkloadAPI, {
      fetchX509SVID: (_request, context) => answers(context),
      async *fetchX509Bundles(_request, context): AsyncGenerator<Bundles> {
        for await (const said of answers(context)) yield { bundles: bundlesOf(said) };
      },
    });
  });
  const answer = (said: Svids | Code): void => announcement.say(said);
  const api = Object.assign(server, { opened, answer, fallSilent: () => announcement.fallSilent() });
  return Object.defineProperty(api, "streams", { get: () => streams }) as WorkloadApi;
}

/** An X.509-SVID as the API has it. */
export interface Svid {
  readonly spiffeId: string;
  readonly x509Svid: Uint8Array<ArrayBuffer>;
  readonly x509SvidKey: Uint8Array<ArrayBuffer>;
  readonly bundle: Uint8Array<ArrayBuffer>;
  readonly hint: string;
  /** The same as PEM, for a peer of the test's own. */
  readonly issued: IssuedCertificate;
}

export async function issueSvid(
  authority: Authority,
  id: string,
  options: { hint?: string; notAfter?: Date; notBefore?: Date; bundle?: string } = {},
): Promise<Svid> {
  const { hint = "", bundle = authority.certificate, ...dates } = options;
  const issued = await authority.issue({ commonName: "workload", uris: [id], ...dates });
  const key = createPrivateKey(issued.privateKey).export({ type: "pkcs8", format: "der" });
  return {
    spiffeId: id,
    x509Svid: derOf(issued.certificate),
    x509SvidKey: new Uint8Array(key),
    bundle: derOf(bundle),
    hint,
    issued,
  };
}

/** A revocation list of the authority's, in DER. */
export async function revocationList(
  authority: Authority,
  serials: readonly string[] = [],
): Promise<Uint8Array<ArrayBuffer>> {
  const parsed = parsePem(await authority.revoke(serials));
  if (!parsed.ok) throw new Error(parsed.reason);
  const body = parsed.blocks[0]?.text.split("\n").filter((line) => !line.startsWith("-----")) ?? [];
  return new Uint8Array(Buffer.from(body.join(""), "base64"));
}

/** Certificates in DER, one after the other. */
export function derOf(pem: string): Uint8Array<ArrayBuffer> {
  const parsed = parsePem(pem);
  if (!parsed.ok) throw new Error(parsed.reason);
  return new Uint8Array(Buffer.concat(parsed.blocks.map(({ text }) => new X509Certificate(text).raw)));
}

function bundlesOf({ svids = [], federatedBundles = {} }: Svids): Record<string, Uint8Array<ArrayBuffer>> {
  const own = svids.map(({ spiffeId = "", bundle = new Uint8Array() }) => [
    spiffeId.split("/").slice(0, 3).join("/"),
    bundle,
  ]);
  return Object.fromEntries([...own, ...Object.entries(federatedBundles)]);
}

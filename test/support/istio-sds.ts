import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Code, ConnectError } from "@connectrpc/connect";
import { pack } from "../../src/protobuf/any.ts";
import {
  type CertificateValidationContext,
  CertificateValidationContextSchema,
} from "../../src/protobuf/generated/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import { SecretSchema } from "../../src/protobuf/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { SPIFFECertValidatorConfigSchema } from "../../src/protobuf/generated/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config_pb.js";
import {
  type DiscoveryRequest,
  DiscoveryResponseSchema,
} from "../../src/protobuf/generated/envoy/service/discovery/v3/discovery_pb.js";
import { SecretDiscoveryService } from "../../src/protobuf/generated/envoy/service/secret/v3/sds_pb.js";
import type { IssuedCertificate } from "../../src/x509/authority.ts";
import { Announcement, type GrpcServer, startGrpcServer } from "./grpc-server.ts";

export type Held = { readonly [name: string]: IssuedCertificate | HeldCa };

type ValidationInit = Exclude<
  MessageInitShape<typeof CertificateValidationContextSchema>,
  { readonly $typeName: string }
>;

interface HeldCa {
  readonly ca: string;
  readonly crl?: string;
  /** By trust domain, as SPIRE has them: Envoy's SPIFFE validator. */
  readonly domains?: Readonly<Record<string, string>>;
  /** Whatever else a validation context may have. */
  readonly more?: Partial<ValidationInit>;
}

/** A request as it came, by the stream that it came on. */
export interface SeenSdsRequest {
  readonly stream: number;
  readonly names: readonly string[];
  readonly version: string;
  readonly nonce: string;
  readonly node: string;
  readonly error: string | undefined;
}

/** Istio's agent as far as proxies see it: SDS (StreamSecrets) on a Unix socket. */
export interface IstioSds extends GrpcServer {
  readonly requests: SeenSdsRequest[];
  /** What is pushed to everybody who asked for it, and to whoever asks, or the end of all streams with that status. */
  push(held: Held | Code): void;
  /** Streams that are opened from now on get nothing until the next push. */
  fallSilent(): void;
}

/** `instead`: what each stream is sent, whatever is pushed, as fast as it is read. */
export async function startIstioSds(instead?: () => AsyncIterable<Held>): Promise<IstioSds> {
  const requests: SeenSdsRequest[] = [];
  const announcement = new Announcement<{ held: Held | Code; version: string }>();
  let streams = 0;
  let pushes = 0;
  const server = await startGrpcServer((router) => {
    router.service(SecretDiscoveryService, {
      async *streamSecrets(asked, { signal }) {
        const stream = ++streams;
        const iterator = asked[Symbol.asyncIterator]();
        const first = (await iterator.next()).value as DiscoveryRequest | undefined;
        if (first === undefined) return;
        const record = ({ resourceNames, versionInfo, responseNonce, node, errorDetail }: DiscoveryRequest) =>
          requests.push({
            stream,
            names: resourceNames,
            version: versionInfo,
            nonce: responseNonce,
            node: node?.id ?? "",
            error: errorDetail?.message,
          });
        record(first);
        // Acknowledgements change nothing here; they are for the test to look at.
        void (async () => {
          for (let next = await iterator.next(); !next.done; next = await iterator.next()) record(next.value);
        })().catch(() => {});
        const said = instead === undefined ? announcement.follow(signal) : numbered(instead());
        for await (const { held, version } of said) {
          if (typeof held === "number") throw new ConnectError("the agent has no certificate", held);
          const resources = first.resourceNames.flatMap((name) => {
            const secret = held[name];
            return secret === undefined ? [] : pack(SecretSchema, secretOf(name, secret));
          });
          yield create(DiscoveryResponseSchema, {
            typeUrl: first.typeUrl,
            versionInfo: version,
            nonce: `${stream}/${version}`,
            resources,
          });
        }
      },
    });
  });
  return Object.assign(server, {
    requests,
    fallSilent: () => announcement.fallSilent(),
    push: (held: Held | Code): void => announcement.say({ held, version: `v${++pushes}` }),
  });
}

async function* numbered(all: AsyncIterable<Held>): AsyncGenerator<{ held: Held | Code; version: string }> {
  let version = 0;
  for await (const held of all) yield { held, version: `v${++version}` };
}

function secretOf(name: string, held: Held[string]) {
  return create(SecretSchema, {
    name,
    type:
      "ca" in held
        ? { case: "validationContext", value: validationOf(held) }
        : {
            case: "tlsCertificate",
            value: { certificateChain: inline(held.certificate), privateKey: inline(held.privateKey) },
          },
  });
}

function validationOf({ ca, crl, domains, more }: HeldCa): CertificateValidationContext {
  return create(CertificateValidationContextSchema, {
    ...(domains === undefined ? { trustedCa: inline(ca) } : byDomain(domains)),
    ...(crl === undefined ? {} : { crl: inline(crl) }),
    ...more,
  });
}

function byDomain(domains: Readonly<Record<string, string>>) {
  const trustDomains = Object.entries(domains).map(([name, pem]) => ({ name, trustBundle: inline(pem) }));
  const config = create(SPIFFECertValidatorConfigSchema, { trustDomains });
  return {
    customValidatorConfig: {
      name: "envoy.tls.cert_validator.spiffe",
      typedConfig: pack(SPIFFECertValidatorConfigSchema, config),
    },
  };
}

function inline(text: string) {
  return { specifier: { case: "inlineBytes" as const, value: new TextEncoder().encode(text) } };
}

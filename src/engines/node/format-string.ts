import type { FormatOperator } from "../../model/format.ts";
import { distinguishedName, fingerprint } from "../../x509/certificate.ts";
import { clientAddress } from "./address-filter.ts";
import { FIELD } from "./http1/fields.ts";
import { wholeValue } from "./http1/forward.ts";
import type { RequestHead } from "./http1/request-head.ts";
import type { ConnectionFacts } from "./listener.ts";
import type { Plan } from "./plan.ts";

/** What Envoy's operators (`%PROTOCOL%`) stand for in one request. */
export type FormatValues = Readonly<Record<FormatOperator, () => string>>;

/** Values are asked for one by one, as few are ever used. */
export function formatValues(head: RequestHead, accepted: ConnectionFacts, plan: Plan): FormatValues {
  const { remoteAddress: peer, socket, clientCertificate } = accepted;
  const client = clientAddress(wholeValue(head.fields, FIELD.forwardedFor), peer, plan.settings);
  return {
    PROTOCOL: () => "HTTP/1.1",
    DOWNSTREAM_REMOTE_ADDRESS: () => `${client}:${client === peer ? (socket.remotePort ?? 0) : 0}`,
    DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: () => client,
    DOWNSTREAM_DIRECT_REMOTE_ADDRESS: () => `${peer}:${socket.remotePort ?? 0}`,
    DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT: () => peer,
    DOWNSTREAM_LOCAL_ADDRESS: () => `${socket.localAddress ?? ""}:${socket.localPort ?? 0}`,
    DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: () => socket.localAddress ?? "",
    DOWNSTREAM_TLS_VERSION: () => accepted.tlsVersion ?? "",
    DOWNSTREAM_TLS_CIPHER: () => accepted.tlsCipher ?? "",
    DOWNSTREAM_PEER_SUBJECT: () => distinguishedName(clientCertificate?.subject),
    DOWNSTREAM_PEER_SERIAL: () => clientCertificate?.serialNumber.toLowerCase() ?? "",
    DOWNSTREAM_PEER_FINGERPRINT_256: () => (clientCertificate === null ? "" : fingerprint(clientCertificate)),
    START_TIME: () => new Date().toISOString(),
  };
}

/** Fills a text's operators in; `%%` is a per cent sign. What a peer has chosen may not end the line it goes into. */
export function format(text: string, values: Partial<FormatValues>): string {
  return text.replace(/%(?:%|([A-Z0-9_]+)%)/g, (whole, name: string | undefined) => {
    if (name === undefined) return "%";
    const value = Object.hasOwn(values, name) ? values[name as FormatOperator] : undefined;
    return value === undefined ? whole : value().replace(/[^ -~]/g, "?");
  });
}

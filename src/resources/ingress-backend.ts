import { isRecord } from "./fields.ts";

/** Where an Ingress sends requests, as a Mapping's `service`; or what is wrong with it. */
export type IngressBackend = { readonly service: string } | { readonly problem: string };

/** Reads a backend in the shape of networking.k8s.io/v1 or of the versions before (reference §1). */
export function readBackend(value: unknown, namespace: string): IngressBackend {
  if (!isRecord(value)) return { problem: "names no backend" };
  const service = isRecord(value.service) ? value.service : null;
  const name = service === null ? value.serviceName : service.name;
  if (typeof name !== "string" || !SERVICE_NAME.test(name)) {
    return {
      problem: isRecord(value.resource) ? "leads to something that is no Service" : "names no Service",
    };
  }
  const port = service === null ? value.servicePort : portOf(service.port);
  const number = typeof port === "string" && /^\d{1,5}$/.test(port) ? Number(port) : port;
  if (typeof number === "string") {
    return {
      problem: `names the port ${JSON.stringify(number.slice(0, 40))} of Service ${name}, and files do not tell its number`,
    };
  }
  if (typeof number !== "number" || !Number.isInteger(number) || number < 1 || number > 65_535)
    return { problem: `names no port of Service ${name}` };
  return { service: `${name}.${namespace}:${number}` };
}

function portOf(port: unknown): unknown {
  return isRecord(port) ? (port.number ?? port.name) : undefined;
}

const SERVICE_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

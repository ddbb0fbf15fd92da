import type { TProperties } from "typebox";
import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { readFields, SELECTION_FIELDS } from "./fields.ts";
import { LOG_SERVICE_FIELDS } from "./log-service.ts";
import { RATE_LIMIT_SERVICE_FIELDS } from "./rate-limit-service.ts";
import { type RawObject, type Resource, subjectOf } from "./resource.ts";
import { TRACING_SERVICE_FIELDS } from "./tracing-service.ts";

/** Services beside the way of a request that not every engine speaks to, and what that means for whoever relies on one. */
const OUTSIDE_SERVICES: Readonly<
  Record<OutsideServiceKind, { fields: TProperties; required: string[]; missing: string; remedy: string }>
> = {
  RateLimitService: {
    fields: RATE_LIMIT_SERVICE_FIELDS,
    required: ["service"],
    missing: "rate limits are not enforced: the service is not asked, and every request passes unlimited",
    remedy: "Limit rates before the gateway or in the upstreams until this version can.",
  },
  LogService: {
    fields: LOG_SERVICE_FIELDS,
    required: ["service", "driver"],
    missing: "access logs are not streamed to the service",
    remedy: "Collect the access log from standard output, where it is JSON lines.",
  },
  TracingService: {
    fields: TRACING_SERVICE_FIELDS,
    required: ["service", "driver"],
    missing: "no spans are sent to the service and no trace headers are made; those of clients are passed on",
    remedy: "Trace in the upstreams; x-request-id ties their spans to the access log.",
  },
};

export type OutsideServiceKind = "RateLimitService" | "LogService" | "TracingService";

export interface OutsideServiceSpec {
  readonly service: string;
  readonly tls?: boolean | string;
  readonly grpc?: boolean;
  /** The kind's own fields, as its schema has them. */
  readonly [field: string]: unknown;
}

export type OutsideServiceResource = Resource<OutsideServiceKind, OutsideServiceSpec>;

/** Whether a kind is one of these. */
export function isOutsideService(kind: string): kind is OutsideServiceKind {
  return Object.hasOwn(OUTSIDE_SERVICES, kind);
}

/** Reads the object. None of these keeps anybody out, so a bad one is left out and closes nothing. */
export function parseOutsideService(
  kind: OutsideServiceKind,
  identity: { namespace: string; name: string },
  value: unknown,
  raw: RawObject,
): { resource: OutsideServiceResource | null; diagnostics: readonly Diagnostic[] } {
  const { fields, required } = OUTSIDE_SERVICES[kind];
  const subject = subjectOf({ kind, ...identity });
  const properties = { ...fields, ...SELECTION_FIELDS };
  const { spec, bad, diagnostics } = readFields(value, { properties, required, ignored: [] }, subject, raw);
  const { ambassador_id: _, ambassadorId: __, ...own } = spec;
  if (bad.size > 0)
    return { resource: null, diagnostics: [...diagnostics, notActedOn({ kind, ...identity }, raw)] };
  return { resource: { kind, ...identity, spec: own as OutsideServiceSpec, raw }, diagnostics };
}

/** What it means that a service is not asked or told anything: it is written badly, or the engine cannot. */
export function notActedOn(
  service: { readonly kind: OutsideServiceKind; readonly namespace: string; readonly name: string },
  { source }: RawObject,
): Diagnostic {
  const { missing, remedy } = OUTSIDE_SERVICES[service.kind];
  const message = `${service.kind} ${service.name} is not acted on: ${missing}`;
  return diagnose("kind-not-supported", { subject: subjectOf(service), source, message, remedy });
}

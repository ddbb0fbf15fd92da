import { randomBytes } from "node:crypto";
import type { HashPolicy } from "../../model/route.ts";
import { FIELD, type FieldLines } from "./http1/fields.ts";
import { murmur3 } from "./upstream/balancer/murmur3.ts";

/** What a request is to stay with. */
export interface Affinity {
  /** Null: the request has nothing to go by. */
  readonly hash: number | null;
  /** A cookie made for it, as a header line for the response; "": none. */
  readonly setCookie: string;
}

/** Reads what the route's hash policy goes by. A cookie that is missing is made where the policy gives it a lifetime. */
export function affinityOf(policy: HashPolicy, fields: FieldLines, remoteAddress: string): Affinity {
  if (policy.kind === "source-ip") return { hash: murmur3(remoteAddress), setCookie: "" };
  if (policy.kind === "header") {
    const value = headerValue(fields, policy.name);
    return { hash: value === null ? null : murmur3(value), setCookie: "" };
  }
  const sent = cookieValue(fields, policy.name);
  if (sent !== null) return { hash: murmur3(sent), setCookie: "" };
  if (policy.ttlSeconds === undefined) return { hash: null, setCookie: "" };
  const made = randomBytes(8).toString("hex");
  const age = policy.ttlSeconds === 0 ? "" : `; Max-Age=${policy.ttlSeconds}`;
  const path = policy.path === undefined ? "" : `; Path=${policy.path}`;
  return {
    hash: murmur3(made),
    setCookie: `set-cookie: ${policy.name}="${made}"${age}${path}; HttpOnly\r\n`,
  };
}

/** Puts `line` at the end of a response's head, after what else the route changes there. */
export function withLine(edit: ((head: string) => string) | null, line: string): (head: string) => string {
  return (head) => `${(edit === null ? head : edit(head)).slice(0, -2)}${line}\r\n`;
}

function headerValue(fields: FieldLines, name: string): string | null {
  for (let index = 0; index < fields.count; index++) {
    if (fields.name(index) === name) return fields.value(index);
  }
  return null;
}

function cookieValue(fields: FieldLines, name: string): string | null {
  for (let index = 0; index < fields.count; index++) {
    if (fields.id[index] !== FIELD.other || fields.name(index) !== "cookie") continue;
    for (const pair of fields.value(index).split(";")) {
      const equals = pair.indexOf("=");
      if (equals === -1 || pair.slice(0, equals).trim() !== name) continue;
      return pair
        .slice(equals + 1)
        .trim()
        .replace(/^"(.*)"$/, "$1");
    }
  }
  return null;
}

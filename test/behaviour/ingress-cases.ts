import assert from "node:assert/strict";
import { certificates, mappingYaml, secretYaml } from "../support/certificates.ts";
import type { BehaviourCase, CasePeers } from "./case.ts";

/** An Ingress leads to `NAME.NAMESPACE`, and these two together are an address that tests can reach. */
const NAMESPACE = "0.0.1";
const backend = ({ cleartext }: CasePeers): unknown => ({
  service: { name: "127", port: { number: cleartext } },
});

const ingress = (spec: Record<string, unknown>): string =>
  `---\n${JSON.stringify({
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: { name: "shop", namespace: NAMESPACE },
    spec: { ingressClassName: "ambassador", ...spec },
  })}\n`;
/** What the Ingress does not take goes to a Mapping that leaves its mark. */
const beside = ({ cleartext }: CasePeers): string =>
  mappingYaml("beside", { prefix: "/", service: `localhost:${cleartext}`, rewrite: "/beside/" });
const get = (path: string, host: string): string =>
  `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;

/** Which of these paths a rule takes. */
const paths = (
  pathType: string,
  path: string,
  taken: readonly string[],
  left: readonly string[],
): BehaviourCase[] =>
  [...taken, ...left].map((asked) => ({
    name: `${pathType} ${path} ${taken.includes(asked) ? "takes" : "leaves"} ${asked}`,
    resources: (peers) =>
      beside(peers) +
      ingress({
        rules: [{ host: "shop.example", http: { paths: [{ path, pathType, backend: backend(peers) }] } }],
      }),
    request: get(asked, "shop.example"),
    expect: {
      statuses: [200],
      seen: (seen) => assert.equal(!seen.path.startsWith("/beside/"), taken.includes(asked), seen.path),
    },
  }));

const hosts = (host: string, asked: string, isTaken: boolean): BehaviourCase => ({
  name: `host ${host} ${isTaken ? "takes" : "leaves"} ${asked}`,
  resources: (peers) =>
    beside(peers) +
    ingress({
      rules: [{ host, http: { paths: [{ path: "/x", pathType: "Prefix", backend: backend(peers) }] } }],
    }),
  request: get("/x", asked),
  expect: {
    statuses: [200],
    seen: (seen) => assert.equal(!seen.path.startsWith("/beside/"), isTaken, seen.path),
  },
});

/** a.example over TLS, b.example in cleartext, nowhere.example without its Secret. */
async function served(peers: CasePeers): Promise<string> {
  const { server } = await certificates();
  const rule = (host: string): unknown => ({
    host,
    http: { paths: [{ path: "/", pathType: "Prefix", backend: backend(peers) }] },
  });
  return (
    ingress({
      tls: [
        { hosts: ["a.example"], secretName: "server" },
        { hosts: ["nowhere.example"], secretName: "nowhere" },
      ],
      rules: [rule("a.example"), rule("b.example"), rule("nowhere.example")],
    }) + secretYaml("server", { ...server, namespace: NAMESPACE })
  );
}

export const ingressCases: readonly BehaviourCase[] = [
  ...paths("Exact", "/foo", ["/foo", "/foo?q=1"], ["/foo/", "/foo/bar", "/foobar"]),
  ...paths("Prefix", "/foo", ["/foo", "/foo/", "/foo/bar", "/foo?q=1"], ["/foobar", "/", "/fo"]),
  ...paths("Prefix", "/foo/", ["/foo", "/foo/", "/foo/bar"], ["/foobar"]),
  ...paths("ImplementationSpecific", "/foo", ["/foo", "/foo/bar", "/foobar"], ["/fo"]),
  hosts("shop.example", "other.example", false),
  hosts("*.shop.example", "a.shop.example", true),
  hosts("*.shop.example", "a.b.shop.example", false),
  hosts("*.shop.example", "shop.example", false),
  {
    name: "the longer path is asked first",
    resources: (peers) =>
      ingress({
        rules: [
          {
            http: {
              paths: [
                {
                  path: "/",
                  pathType: "Prefix",
                  backend: { service: { name: "127", port: { name: "http" } } },
                },
                { path: "/foo", pathType: "Prefix", backend: backend(peers) },
              ],
            },
          },
        ],
      }),
    request: get("/foo/bar", "any.example"),
    expect: { statuses: [200] },
  },
  {
    name: "a port by name answers 503 and keeps its place",
    resources: (peers) =>
      ingress({
        defaultBackend: backend(peers),
        rules: [
          {
            http: {
              paths: [
                {
                  path: "/foo",
                  pathType: "Prefix",
                  backend: { service: { name: "127", port: { name: "http" } } },
                },
              ],
            },
          },
        ],
      }),
    request: get("/foo/bar", "any.example"),
    expect: { statuses: [503], seen: null, failure: "route_fails_closed" },
  },
  {
    name: "the default backend takes the rest",
    resources: (peers) => ingress({ defaultBackend: backend(peers) }),
    request: get("/whatever", "any.example"),
    expect: { statuses: [200] },
  },
  {
    name: "tls: the host is served over TLS",
    via: "https",
    serverName: "a.example",
    resources: served,
    request: get("/", "a.example"),
    expect: { statuses: [200] },
  },
  {
    name: "tls: and in cleartext",
    resources: served,
    request: get("/", "a.example"),
    expect: { statuses: [200] },
  },
  {
    name: "a rule's host without tls is served in cleartext beside one with",
    resources: served,
    request: get("/", "b.example"),
    expect: { statuses: [200] },
  },
  {
    name: "tls without its Secret: handshakes are refused",
    via: "https",
    serverName: "nowhere.example",
    resources: served,
    request: get("/", "nowhere.example"),
    expect: { statuses: [], seen: null },
  },
  {
    name: "tls without its Secret: and cleartext",
    resources: served,
    request: get("/", "nowhere.example"),
    expect: { statuses: [400], seen: null },
  },
  {
    name: "an Ingress of another class takes nothing",
    resources: (peers) => ingress({ ingressClassName: "nginx", defaultBackend: backend(peers) }),
    request: get("/", "any.example"),
    expect: { statuses: [404], seen: null },
  },
];

import type { AnchorLedger, PlaceSightings, Seen } from "../credentials/anchor-ledger.ts";
import type { CredentialListing } from "../credentials/listing.ts";
import type { GatewayModel } from "../model/gateway.ts";
import type { ServerTls } from "../model/tls.ts";
import { isoTime } from "../telemetry/clock.ts";
import type { ReportedPlane } from "./report.ts";

/** What `/ambassador/v0/anchors` answers: which CAs of each bundle in use live handshakes chain to. Times are ISO 8601. */
export interface AnchorReport {
  readonly version: 1;
  readonly time: string;
  /** Nothing before is known: the process began. Null: the engine does not tell at all. */
  readonly observedSince: string | null;
  /** Places that made room for others, and are as if never seen. */
  readonly forgottenPlaces: number;
  readonly bundles: readonly ReportedBundle[];
}

export interface ReportedBundle {
  /** In the credential store. */
  readonly name: string;
  readonly generation: number;
  /** Of a fleet; absent where there are no groups. */
  readonly group?: string;
  /** Clusters and listeners whose peers it verifies. */
  readonly usedBy: readonly Pick<PlaceSightings, "direction" | "place">[];
  readonly anchors: readonly ReportedAnchor[];
  readonly places: readonly ReportedPlace[];
}

export interface ReportedAnchor {
  readonly sha256: string;
  readonly subject: string;
  readonly serial: string;
  readonly notBefore: string;
  readonly notAfter: string;
  /** Since when this process has it in the bundle; null: not known. */
  readonly since: string | null;
}

export interface ReportedPlace extends Pick<PlaceSightings, "direction" | "place" | "unlisted"> {
  readonly anchors: readonly ReportedSighting[];
  readonly peers: readonly { readonly peer: string; readonly anchors: readonly ReportedSighting[] }[];
}

export interface ReportedSighting {
  readonly sha256: string;
  readonly handshakes: number;
  readonly firstSeen: string;
  readonly lastSeen: string;
}

/** Of the planes that count handshakes; `now` in milliseconds since the epoch. */
export function createAnchorReport(planes: readonly ReportedPlane[], now: number): AnchorReport {
  const ledgers = planes.flatMap(({ anchors }) => anchors ?? []);
  const tells = ledgers.length === planes.length && ledgers.length > 0;
  return {
    version: 1,
    time: isoTime(now),
    observedSince: tells ? isoTime(Math.max(...ledgers.map(({ observedSince }) => observedSince))) : null,
    forgottenPlaces: ledgers.reduce((sum, { forgottenPlaces }) => sum + forgottenPlaces, 0),
    bundles: planes.flatMap(bundlesOf),
  };
}

function bundlesOf({ group, control, store, anchors }: ReportedPlane): ReportedBundle[] {
  const model = control.state.revision?.model;
  const users = model === undefined ? new Map() : bundleUsers(model);
  const places = [...(anchors?.places ?? [])];
  return store
    .all()
    .filter(({ kind, name, facts }) => kind === "trust" && facts.length > 0 && users.has(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((listing) => ({
      name: listing.name,
      generation: listing.generation,
      ...(group === undefined ? {} : { group }),
      usedBy: [...(users.get(listing.name)?.values() ?? [])],
      anchors: anchorsOf(listing, anchors),
      places: places.filter(({ trust }) => trust === listing.name).map(reportedPlace),
    }));
}

type Users = Map<string, Map<string, Pick<PlaceSightings, "direction" | "place">>>;

function bundleUsers({ clusters, listeners, virtualHosts, tcpListeners = [] }: GatewayModel): Users {
  const users: Users = new Map();
  const add = (trust: string, direction: PlaceSightings["direction"], place: string): void => {
    const known = users.get(trust) ?? new Map();
    users.set(trust, known.set(`${direction} ${place}`, { direction, place }));
  };
  for (const { name, tls } of clusters)
    if (tls.mode === "originate" && tls.verification.mode !== "none")
      add(tls.verification.trust, "upstream", name);
  const addClients = (tls: ServerTls, listener: string): void => {
    if (tls.mode === "terminate" && tls.clients.mode !== "none") add(tls.clients.trust, "client", listener);
  };
  for (const { name, transport } of listeners)
    if (transport === "tls") for (const { tls } of virtualHosts) addClients(tls, name);
  for (const { name, chains } of tcpListeners)
    for (const { tls } of chains) if (tls.mode !== "passthrough") addClients(tls, name);
  return users;
}

function anchorsOf({ name, facts }: CredentialListing, ledger: AnchorLedger | undefined): ReportedAnchor[] {
  return facts.map(({ sha256, subject, serial, notBefore, notAfter }) => {
    const since = ledger?.since(name, sha256);
    return {
      sha256,
      subject,
      serial,
      notBefore: isoTime(notBefore),
      notAfter: isoTime(notAfter),
      since: since === undefined ? null : isoTime(since),
    };
  });
}

function reportedPlace({ direction, place, anchors, peers, unlisted }: PlaceSightings): ReportedPlace {
  return {
    direction,
    place,
    unlisted,
    anchors: [...anchors].map(sighting),
    peers: [...peers].map(([peer, seen]) => ({ peer, anchors: [...seen].map(sighting) })),
  };
}

function sighting([sha256, { handshakes, first, last }]: [string, Readonly<Seen>]): ReportedSighting {
  return { sha256, handshakes, firstSeen: isoTime(first), lastSeen: isoTime(last) };
}

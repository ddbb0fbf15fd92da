import type { CredentialChange, CredentialReader } from "../../../credentials/credential.ts";
import { staleFrom } from "../../../credentials/crl-admission.ts";
import { peerExpectation } from "../../../credentials/peer-expectation.ts";
import type { HandshakeReason } from "../../../diagnostics/handshake.ts";
import type { ClientAuth } from "../../../model/tls.ts";
import type { Logger } from "../../../telemetry/logger.ts";
import { type PeerExpectation, verifyPeer } from "../../../x509/verify.ts";
import type { VouchedClient } from "./client-check.ts";
import { clientEvidence } from "./policy.ts";
import { presentedChain } from "../../../x509/presented-chain.ts";

/** What is open for it. */
export interface RetirableConnection {
  /** Ends with what is in flight. */
  retire(): void;
  /** Ends at once. */
  destroy(): void;
}

export interface ClientRollContext {
  readonly credentials: CredentialReader;
  readonly logger: Logger;
  /** How long what is in flight may take. */
  readonly retireMs: number;
  readonly onEnded: (reason: HandshakeReason) => void;
}

/**
 * The clients that showed a certificate and are connected still. They are judged again as a new handshake would be: when
 * the CAs or revocation lists of their policy change or go stale, and at the end of their own certificates. Whom these no longer
 * accept ends what is in flight, and no more. Requests cost nothing of it.
 */
export class ClientRoll {
  readonly #context: ClientRollContext;
  /** By what is asked of them. */
  readonly #groups = new Map<string, Group>();
  /** To be judged, a few in a turn: thousands at once would hold up requests. */
  readonly #due = new Set<Member>();
  #work: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  constructor(context: ClientRollContext) {
    this.#context = context;
  }

  /** Until its socket closes. */
  join(client: VouchedClient, connection: RetirableConnection): void {
    const { clients, socket } = client;
    if (socket.destroyed) return;
    const key = JSON.stringify(clients);
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = { clients, members: new Set(), ...this.#askedNow(clients) };
      this.#groups.set(key, group);
      this.#wakeAt(group.staleAt);
    }
    const member: Member = { client, connection, group, notAfter: client.notAfter };
    const { members } = group;
    members.add(member);
    this.#wakeAt(member.notAfter);
    socket.once("close", () => {
      members.delete(member);
      this.#due.delete(member);
      clearTimeout(member.cut);
      if (members.size === 0 && this.#groups.get(key)?.members === members) this.#groups.delete(key);
    });
  }

  onCredentialChange({ name }: CredentialChange): void {
    for (const group of this.#groups.values()) if (dependsOn(group.clients, name)) this.#judgeAll(group);
  }

  close(): void {
    clearImmediate(this.#work);
    clearTimeout(this.#timer);
    for (const { members } of this.#groups.values()) for (const { cut } of members) clearTimeout(cut);
    this.#groups.clear();
    this.#due.clear();
  }

  #judgeAll(group: Group): void {
    Object.assign(group, this.#askedNow(group.clients));
    this.#wakeAt(group.staleAt);
    for (const member of group.members) this.#judgeSoon(member);
  }

  #judgeSoon(member: Member): void {
    this.#due.add(member);
    this.#work ??= setImmediate(() => this.#judgeSome());
  }

  #judgeSome(): void {
    this.#work = undefined;
    const end = performance.now() + TURN_MS;
    for (const member of this.#due) {
      this.#due.delete(member);
      this.#judge(member);
      if (performance.now() > end) break;
    }
    if (this.#due.size > 0) this.#work = setImmediate(() => this.#judgeSome());
  }

  #judge(member: Member): void {
    const { client, group } = member;
    if (member.cut !== undefined) return;
    const chain = presentedChain(client.socket);
    // The socket is closing.
    if (chain === null) return;
    const intermediates = [...chain.intermediates, ...client.intermediates];
    const verdict = verifyPeer(chain.leaf, intermediates, group.expected, Date.now());
    if (verdict.ok) {
      member.notAfter = verdict.notAfter;
      this.#wakeAt(verdict.notAfter);
    } else this.#retire(member, verdict.fault, verdict.message);
  }

  #retire(member: Member, reason: HandshakeReason, cause: string): void {
    const { client, connection } = member;
    const { logger, retireMs, onEnded } = this.#context;
    logger.info({ reason, cause, client: client.identity }, "client is no longer accepted: connection ends");
    onEnded(reason);
    member.cut = setTimeout(() => connection.destroy(), retireMs).unref();
    connection.retire();
  }

  #askedNow(clients: ClientAuth): Pick<Group, "expected" | "staleAt"> {
    const evidence = clientEvidence(clients, this.#context.credentials);
    const rules = clients.mode === "none" ? undefined : clients.rules;
    const expected = peerExpectation({ usage: "client" }, evidence, rules);
    const isBoundByLists = rules?.revocation?.policy === "require" && evidence.crl !== undefined;
    const staleAt = isBoundByLists ? staleFrom(evidence.crl.lists, Date.now() + 1) : Number.POSITIVE_INFINITY;
    return { expected, staleAt };
  }

  #wakeAt(at: number): void {
    if (at >= this.#timerAt) return;
    this.#timerAt = at;
    clearTimeout(this.#timer);
    const wait = Math.max(at - Date.now(), SHORTEST_WAIT_MS);
    this.#timer = setTimeout(() => this.#onTime(), Math.min(wait, LONGEST_WAIT_MS)).unref();
  }

  #onTime(): void {
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = Date.now();
    let next = Number.POSITIVE_INFINITY;
    for (const group of this.#groups.values()) {
      if (group.staleAt <= now) this.#judgeAll(group);
      next = Math.min(next, group.staleAt);
      for (const member of group.members) {
        if (member.cut !== undefined) continue;
        if (member.notAfter <= now) this.#judgeSoon(member);
        else next = Math.min(next, member.notAfter);
      }
    }
    this.#wakeAt(next);
  }
}

interface Group {
  readonly clients: ClientAuth;
  readonly members: Set<Member>;
  /** As of the last change. */
  expected: PeerExpectation;
  /** When the lists are good for nobody any more; Infinity: it does not matter. */
  staleAt: number;
}

interface Member {
  readonly client: VouchedClient;
  readonly connection: RetirableConnection;
  readonly group: Group;
  notAfter: number;
  /** It is on its way out. */
  cut?: NodeJS.Timeout;
}

function dependsOn(clients: ClientAuth, name: string): boolean {
  return clients.mode !== "none" && (clients.trust === name || clients.rules?.revocation?.crl === name);
}

const TURN_MS = 5;
const SHORTEST_WAIT_MS = 100;
/** Timers do not follow the wall clock when it is set. */
const LONGEST_WAIT_MS = 60_000;

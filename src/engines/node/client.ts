import type { AcceptedConnection } from "./listener.ts";
import type { Gathered } from "./gathered.ts";
import type { Serving } from "./serving.ts";

/** What an exchange needs of the client's connection that it serves. */
export interface Client {
  readonly accepted: AcceptedConnection;
  readonly serving: Serving;
  /** No request is taken after the one that is served. */
  readonly isLast: boolean;
  /** `performance.now()` at which the exchange is told that it took too long. */
  deadline: number;
  /** Latin-1 text to the client. False: wait for the exchange's onClientDrain. */
  write(data: string): boolean;
  /** Bytes to the client, copied: they may be overwritten at once. */
  writeBytes(data: Buffer): boolean;
  /** Where bytes for `writeBytes` may be read to, `size` at a time, so that it need not copy them; null: anywhere. */
  lend(size: number): Gathered | null;
  pause(): void;
  resume(): void;
  /** Everything that comes from now on is the exchange's, uncut. */
  becomeTunnel(): void;
  /** The exchange is over. `keepAlive` false closes once everything is written. */
  onExchangeDone(keepAlive: boolean): void;
  destroy(): void;
}

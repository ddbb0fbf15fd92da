import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { Session } from "../../../../../src/engines/envoy/ads/session.ts";
import { Turns } from "../../../../../src/engines/envoy/ads/turns.ts";
import { TYPE_URLS } from "../../../../../src/engines/envoy/resources.ts";
import { handClock } from "../../../../support/clock.ts";
import { worldOf } from "../../../../support/xds-world.ts";

test("a client that asks for names without end is told so; what it gives up makes room", () => {
  const clock = handClock(0);
  const session = new Session(
    { clock, orderLimitMs: 5000, onReady: () => {}, turns: new Turns(clock) },
    worldOf({ clusters: {} }),
    "1",
  );
  const { subscription } = session.open(TYPE_URLS.secret) ?? assert.fail();
  for (let index = 0; index < 100_000; index++) session.subscribe(subscription, `secret-${index}`, false);
  // One that it has asked for already is no other.
  session.subscribe(subscription, "secret-0", false);
  const more = (): void => session.subscribe(subscription, "one-more", false);
  assert.throws(more, (error) => error instanceof ConnectError && error.code === Code.ResourceExhausted);
  session.unsubscribe(subscription, "secret-1");
  more();
  assert.equal(subscription.names.size, 100_000);
});

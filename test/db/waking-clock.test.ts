import { getEventListeners } from "node:events";
import { expect, it } from "vitest";
import { systemClock } from "../../src/clock.js";
import { type Context, wakingClock } from "../../src/db/context.js";

/** Longer than a test may take: only what wakes ends it. */
const LONG_MS = 3_600_000;

it("a waking clock sleeps until the database changes or its signal ends, and leaves nothing on the signal", async () => {
  let change = () => {};
  const watch = (onChange: () => void) => {
    change = onChange;
    return () => {};
  };
  const clock = wakingClock({ clock: systemClock, store: { watch } } as unknown as Context);
  const stop = new AbortController();
  const sleep = () => clock.sleep(LONG_MS, stop.signal);

  const first = sleep();
  change();
  await first;
  change();
  await sleep();
  await clock.sleep(0, stop.signal);
  expect(getEventListeners(stop.signal, "abort")).toEqual([]);

  const last = sleep();
  stop.abort();
  await last;
  await sleep();
  expect(getEventListeners(stop.signal, "abort")).toEqual([]);
});

import type { Clock } from "../clock.js";
import { decodeKeys, flushKeys } from "./player-keys.js";
import type { PlayerInput } from "./player-state.js";

/** A terminal sends the rest of an escape sequence in the same breath; what stays alone is the Escape key. */
const ESCAPE_MS = 25;

/** Reads keys from `stdin` until it is closed. All keys of one chunk are taken together. */
export function openKeyboard(
  stdin: NodeJS.ReadStream,
  clock: Clock,
  take: (inputs: readonly PlayerInput[]) => void,
): { close(): void } {
  let typed = "";
  let latest = new AbortController();

  if (stdin.isTTY) stdin.setRawMode(true);
  stdin.setEncoding("utf8").on("data", receive).on("end", hangUp);
  return {
    close() {
      latest.abort();
      stdin.off("data", receive).off("end", hangUp).pause();
      if (stdin.isTTY) stdin.setRawMode(false);
    },
  };

  function receive(chunk: string | Buffer): void {
    latest.abort();
    latest = new AbortController();
    press(decodeKeys(typed + chunk));
    if (typed !== "") void endSequence(latest.signal);
  }

  async function endSequence(signal: AbortSignal): Promise<void> {
    await clock.sleep(ESCAPE_MS, signal);
    if (!signal.aborted) press(flushKeys(typed));
  }

  function press({ keys, rest }: ReturnType<typeof decodeKeys>): void {
    typed = rest;
    if (keys.length > 0) take(keys.map((key) => ({ kind: "key", key })));
  }

  function hangUp(): void {
    take([{ kind: "hangup" }]);
  }
}

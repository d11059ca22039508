import { type FeedEvent, feedEvent } from "../../feed.js";
import { asList, asText } from "../../json.js";
import type { SpoolEvent } from "../../spool.js";
import { type HookKit, hookLine } from "../hook-kit.js";

/**
 * Codex starts its `notify` program at the end of each turn, with the event as its argument. There is no install that
 * stays: `notify` is one program, and the user may have one.
 */
export const codexHooks: HookKit = {
  agentFile: {
    name: "codex-notify",
    text: `#!/bin/sh\nprintf '%s' "$1" | { ${hookLine("notify", "idle")}; }\n`,
    executable: true,
  },
};

/** Codex names a task in a thread of its own, with a prompt that begins like this. */
const TITLE_PROMPT = /^Generate a concise, single-line task title\b/;

/**
 * Reads Codex's `notify`: one event at the end of a turn, with all prompts of the thread so far. Those that are new
 * are the turn's prompts. Its other states come by OSC 7501.
 */
export function readCodexEvents(events: readonly SpoolEvent[]): FeedEvent[] {
  const known = new Map<string, number>();
  return events.flatMap((raw) => {
    const thread = asText(raw.payload["thread-id"]) ?? "";
    const prompts = asList(raw.payload["input-messages"]).flatMap((text) => asText(text) ?? []);
    if (raw.payload.type !== "agent-turn-complete" || TITLE_PROMPT.test(prompts[0] ?? "")) return [];
    const ids = { sessionRef: thread, promptId: asText(raw.payload["turn-id"]) };
    const fresh = prompts.slice(known.get(thread) ?? Math.max(0, prompts.length - 1));
    known.set(thread, prompts.length);
    return [
      ...fresh.map((text) => feedEvent(raw, "prompt", { ...ids, text })),
      feedEvent(raw, "idle", { ...ids, text: asText(raw.payload["last-assistant-message"]) }),
    ];
  });
}

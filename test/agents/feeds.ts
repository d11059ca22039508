import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { asObject, asText, type Json } from "../../src/agents/json.js";
import type { SpoolEvent } from "../../src/agents/spool.js";

const FEEDS = fileURLToPath(new URL("../fixtures/feeds/", import.meta.url));

export function readFeed(name: string): string {
  return readFileSync(`${FEEDS}${name}`, "utf8");
}

/** The hooks that a real Claude Code fired in one of the recorded panes. */
export function claudeFeed(pane: string): SpoolEvent[] {
  return recorded("claude-hooks.jsonl", pane).map(({ at, payload }) => ({
    at: Number(at),
    event: asText(asObject(payload).hook_event_name) ?? "",
    payload: asObject(payload),
  }));
}

/** The events that a real pi gave to an extension. */
export function piFeed(pane: string): SpoolEvent[] {
  return recorded("pi-extension.jsonl", pane).map((line) => ({ ...stamp(line), payload: line }));
}

export function opencodeFeed(): SpoolEvent[] {
  return recorded("opencode-plugin.jsonl").map((line) => ({ ...stamp(line), payload: asObject(line.properties) }));
}

export function codexFeed(pane: string): SpoolEvent[] {
  return recorded("codex-notify.jsonl", pane).map(({ at, payload }) => ({
    at: Number(at),
    event: "notify",
    payload: asObject(payload),
  }));
}

function stamp(line: Json): { at: number; event: string } {
  return { at: Number(line.at), event: asText(line.type) ?? "" };
}

function recorded(name: string, pane?: string): Json[] {
  const lines = readFeed(name).trim().split("\n");
  return lines.map((line) => asObject(JSON.parse(line))).filter((line) => pane === undefined || line.pane === pane);
}

import { asObject, asText, type Json } from "../../json.js";
import type { Headless, HeadlessRequest, ModelUsage, Output, Report } from "../headless.js";
import {
  costOfAll,
  dollars,
  jsonLines,
  messageOf,
  noResult,
  reportOf,
  sumUsage,
  tokens,
  usageOf,
  withSystem,
} from "../results.js";

/** OpenCode without a terminal: an event per line; the end of each step says what it used and cost. */
export const opencodeHeadless: Headless = { restricts: { access: true, tools: false }, start, read };

function start(request: HeadlessRequest) {
  const { model, access, sessionRef } = request;
  const args = [
    ...["run", "--format", "json"],
    ...(sessionRef === null ? [] : ["--session", sessionRef]),
    ...(access === "read-only" ? ["--agent", "plan"] : []),
    ...(model === null ? [] : ["--model", model]),
  ];
  return { args, stdin: withSystem(request), env: {} };
}

function read(output: Output): Report {
  const events = jsonLines(output.stdout).filter(({ type }) => asText(type) !== undefined);
  if (events.length === 0) return noResult(output);
  const parts = (wanted: string) => events.filter(({ type }) => type === wanted).map(({ part }) => asObject(part));
  const steps = parts("step_finish");
  // The last step's end can be missing: what it used is then unknown, and so is the sum.
  const isPartial = parts("step_start").length > steps.length;
  const usage = sumUsage(steps.map(usageIn));
  const text = lastMessage(parts("text"));
  const failed = events.findLast(({ type }) => type === "error");
  const tools = parts("tool_use").map(({ state }) => asObject(state));
  const isDone = tools.some(({ status }) => status === "completed");
  const denial = tools.map(({ error }) => asText(error)).findLast((error) => /reject|permission/i.test(error ?? ""));
  return reportOf(
    {
      text: failed === undefined ? text : null,
      sessionRef: events.map(({ sessionID }) => asText(sessionID)).find(Boolean) ?? null,
      usage,
      costUsd: isPartial ? null : costOfAll(usage),
      ...(isPartial && { partial: true as const }),
      productive: isDone || (denial === undefined && text.trim() !== ""),
      ...(failed !== undefined
        ? {
            error: messageOf(failed["error"]) ?? "an error without a message",
            status: asObject(asObject(failed["error"])["data"])["statusCode"],
          }
        : denial !== undefined && !isDone && { failure: "permission_denied" as const, error: denial }),
    },
    output,
  );
}

/** The texts of the last message that has one. */
function lastMessage(texts: readonly Json[]): string {
  const id = texts.at(-1)?.["messageID"];
  const own = texts.filter(({ messageID }) => messageID === id);
  return own.flatMap(({ text }) => asText(text) ?? []).join("\n");
}

/** Tokens from and into the cache are not among the input, those of thoughts not among the output. */
export function usageIn({ tokens: used, cost }: Json): ModelUsage {
  const all = asObject(used);
  const cache = asObject(all["cache"]);
  return usageOf("", {
    input: tokens(all["input"]),
    output: tokens(all["output"]) + tokens(all["reasoning"]),
    cacheRead: tokens(cache["read"]),
    cacheWrite5m: tokens(cache["write"]),
    costUsd: dollars(cost),
  });
}

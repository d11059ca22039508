import { asObject, asText, type Json } from "../../json.js";
import type { Headless, HeadlessRequest, ModelUsage, Output, Report } from "../headless.js";
import { jsonLines, messageOf, noResult, reportOf, tokens, usageOf, withSystem } from "../results.js";

/** Codex without a terminal: an event per line. It counts tokens over all turns of a thread and says no dollars. */
export const codexHeadless: Headless = { restricts: { access: true, tools: false }, start, read };

function start(request: HeadlessRequest) {
  const { model, access, sessionRef } = request;
  const args = [
    ...["exec", "--json", "--skip-git-repo-check"],
    ...["-c", `sandbox_mode="${access === "full" ? "workspace-write" : "read-only"}"`],
    ...(model === null ? [] : ["--model", model]),
    ...(sessionRef === null ? ["-"] : ["resume", sessionRef, "-"]),
  ];
  return { args, stdin: withSystem(request), env: {} };
}

function read(output: Output): Report {
  const events = jsonLines(output.stdout).filter(({ type }) => asText(type) !== undefined);
  if (events.length === 0) return noResult(output);
  const last = (wanted: string) => events.findLast(({ type }) => type === wanted);
  const done = events.filter(({ type }) => type === "item.completed").map(({ item }) => asObject(item));
  const end = events.findLast(({ type }) => type === "turn.completed" || type === "turn.failed");
  const failed = end === undefined ? last("error") : end["type"] === "turn.failed" ? end : undefined;
  const error = failed === undefined ? undefined : messageOf(failed["error"] ?? failed["message"]);
  const text = asText(done.findLast(({ type }) => type === "agent_message")?.["text"]) ?? null;
  return reportOf(
    {
      text: failed === undefined ? text : null,
      sessionRef: asText(last("thread.started")?.["thread_id"]) ?? null,
      usage: usageIn(last("turn.completed")),
      counts: "thread",
      productive: text !== null || done.some(isWork),
      ...(failed && { error: error ?? "an error without a message" }),
    },
    output,
  );
}

const isWork = ({ type, status }: Json) => type !== "error" && type !== "reasoning" && status === "completed";

function usageIn(completed: Json | undefined) {
  const used = usageOfTokens("", asObject(completed?.["usage"]));
  return used.input + used.output + used.cacheRead === 0 ? [] : [used];
}

/** Tokens from and into the cache are among the input, those of thoughts among the output. */
export function usageOfTokens(model: string, used: Json): ModelUsage {
  const cacheRead = tokens(used["cached_input_tokens"]);
  const cacheWrite5m = tokens(used["cache_write_input_tokens"]);
  const input = Math.max(0, tokens(used["input_tokens"]) - cacheRead - cacheWrite5m);
  return usageOf(model, { input, output: tokens(used["output_tokens"]), cacheRead, cacheWrite5m });
}

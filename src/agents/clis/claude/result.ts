import { isObject } from "../../../shape.js";
import { asList, asObject, asText, type Json } from "../../json.js";
import type { Headless, HeadlessRequest, ModelUsage, Output, Report } from "../headless.js";
import { costOfAll, dollars, jsonLines, lastJson, noResult, parsed, reportOf, tokens, usageOf } from "../results.js";

/** Claude Code without a terminal: one JSON object with the answer, the cost and what was denied. */
export const claudeHeadless: Headless = { restricts: { access: true, tools: true }, start, read };

function start({ prompt, system, model, access, allowedTools, sessionRef, maxUsd }: HeadlessRequest) {
  const args = [
    ...["-p", "--output-format", "json"],
    ...(sessionRef === null ? [] : ["--resume", sessionRef]),
    ...(system === null ? [] : [`--append-system-prompt=${system}`]),
    ...permissions(access, allowedTools),
    ...(model === null ? [] : ["--model", model]),
    ...(maxUsd === null ? [] : ["--max-budget-usd", String(maxUsd)]),
  ];
  return { args, stdin: prompt, env: {} };
}

/** The tools that ask for a permission. Bypassing all permissions is refused to root, and would ignore the user's own denials. */
const ALL_TOOLS = ["Bash", "Edit", "Write", "NotebookEdit", "WebFetch", "WebSearch", "Task", "Agent", "Skill"];

/** Nobody answers a question here: what is not allowed is denied. Commands that only read are always allowed. */
function permissions(access: HeadlessRequest["access"], allowedTools: HeadlessRequest["allowedTools"]): string[] {
  const allowed = allowedTools ?? (access === "full" ? ALL_TOOLS : []);
  return [
    ...["--permission-mode", "dontAsk"],
    ...(allowed.length === 0 ? [] : [`--allowedTools=${allowed.join(",")}`]),
    ...(access === "full" ? [] : ["--disallowedTools=Edit,Write,NotebookEdit"]),
  ];
}

function read(output: Output): Report {
  const result = findResult(output.stdout);
  if (result === undefined) return noResult(output);
  const { subtype, is_error, api_error_status, errors, permission_denials } = result;
  const text = asText(result["result"]);
  const isError =
    is_error === true || typeof api_error_status === "number" || asText(subtype)?.startsWith("error") === true;
  const usage = usageIn(result);
  const costUsd = dollars(result["total_cost_usd"]);
  const denied = asList(permission_denials);
  const isHollow = denied.length > 0 && tokens(result["num_turns"]) - 1 <= denied.length;
  const said = text ?? asList(errors).map(asText).find(Boolean) ?? asText(subtype);
  return reportOf(
    {
      text: isError ? null : (text ?? null),
      sessionRef: asText(result["session_id"]) ?? null,
      usage,
      costUsd: costUsd === 0 && usage.length > 0 ? costOfAll(usage) : costUsd,
      counts: isOfThread(result, usage) ? "thread" : "run",
      productive: !isError && !isHollow && (text ?? "").trim() !== "",
      status: api_error_status,
      ...(isError
        ? { error: said || "an error without a message" }
        : isHollow && { failure: "permission_denied" as const, error: `It was denied ${toolsOf(denied)}.` }),
    },
    output,
  );
}

/** With several results the last one counts: its figures are totals of the process. */
function findResult(stdout: string): Json | undefined {
  const whole = lastJson(stdout);
  const all = whole === undefined ? asList(parsed(stdout)).map(asObject) : [whole];
  const isResult = ({ type }: Json) => type === "result";
  return all.findLast(isResult) ?? jsonLines(stdout).findLast(isResult);
}

function usageIn(result: Json): ModelUsage[] {
  const models = Object.entries(asObject(result["modelUsage"]));
  return models.length > 0 ? models.map(([model, used]) => modelUsage(model, asObject(used))) : ownUsage(result);
}

/** In a resumed conversation the totals go on from where they were; `usage` is of this process alone. */
function isOfThread(result: Json, totals: readonly ModelUsage[]): boolean {
  const sum = (of: readonly ModelUsage[]) => of.reduce((all, one) => all + one.input + one.output + one.cacheRead, 0);
  return isObject(result["usage"]) && sum(totals) > sum(ownUsage(result));
}

function ownUsage(result: Json): ModelUsage[] {
  const all = { ...usageOfMessage("", asObject(result["usage"])), costUsd: dollars(result["total_cost_usd"]) };
  return all.input + all.output + all.cacheRead === 0 ? [] : [usageOf(all.model, all)];
}

/** The tokens of an answer, as the model's server counts them. */
export function usageOfMessage(model: string, used: Json): ModelUsage {
  const split = asObject(used["cache_creation"]);
  return usageOf(model, {
    input: tokens(used["input_tokens"]),
    output: tokens(used["output_tokens"]),
    cacheRead: tokens(used["cache_read_input_tokens"]),
    ...cacheWrites(
      used["cache_creation_input_tokens"],
      split["ephemeral_5m_input_tokens"],
      split["ephemeral_1h_input_tokens"],
    ),
  });
}

function modelUsage(model: string, used: Json): ModelUsage {
  return usageOf(model, {
    input: tokens(used["inputTokens"]),
    output: tokens(used["outputTokens"]),
    cacheRead: tokens(used["cacheReadInputTokens"]),
    ...cacheWrites(
      used["cacheCreationInputTokens"],
      used["cacheCreationEphemeral5mInputTokens"],
      used["cacheCreationEphemeral1hInputTokens"],
    ),
    costUsd: dollars(used["costUSD"]),
  });
}

/** Older versions give the sum alone; what they wrote lived five minutes. */
function cacheWrites(all: unknown, short: unknown, long: unknown) {
  const cacheWrite1h = Math.min(tokens(long), tokens(all) || tokens(long));
  return { cacheWrite1h, cacheWrite5m: Math.max(tokens(short), tokens(all) - cacheWrite1h) };
}

function toolsOf(denied: readonly unknown[]): string {
  const names = denied.map((one) => asText(asObject(one)["tool_name"]) ?? "a tool");
  return [...new Set(names)].join(", ");
}

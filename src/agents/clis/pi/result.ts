import { asList, asObject, asText, type Json } from "../../json.js";
import type { Headless, HeadlessRequest, ModelUsage, Output, Report } from "../headless.js";
import { costOfAll, dollars, jsonLines, messageOf, noResult, reportOf, sumUsage, tokens, usageOf } from "../results.js";

/** pi without a terminal: an event per line; each message of the model carries what it used and cost. */
export const piHeadless: Headless = { restricts: { access: true, tools: true }, start, read };

const READ_ONLY = ["read", "grep", "find", "ls"];

function start({ prompt, system, model, access, allowedTools, sessionRef }: HeadlessRequest) {
  const tools = access === "full" ? allowedTools : READ_ONLY.filter((tool) => allowedTools?.includes(tool) ?? true);
  const args = [
    ...["-p", "--mode", "json"],
    ...(sessionRef === null ? [] : ["--session", sessionRef]),
    ...(system === null ? [] : ["--append-system-prompt", system]),
    ...(tools === null ? [] : tools.length === 0 ? ["--no-tools"] : ["--tools", tools.join(",")]),
    ...(model === null ? [] : ["--model", model]),
  ];
  return { args, stdin: prompt, env: {} };
}

function read(output: Output): Report {
  const events = jsonLines(output.stdout).filter(({ type }) => asText(type) !== undefined);
  if (events.length === 0) return noResult(output);
  const messages = events.flatMap(answersIn);
  const last = messages.at(-1) ?? {};
  const isError = last["stopReason"] === "error" || last["stopReason"] === "aborted";
  const usage = sumUsage(
    [...new Map(messages.map((message) => [keyOf(message), message])).values()].map(usageIn),
  ).filter(({ input, output, cacheRead }) => input + output + cacheRead > 0);
  const text = textOf(last);
  return reportOf(
    {
      text: isError ? null : text,
      sessionRef: asText(events.find(({ type }) => type === "session")?.["id"]) ?? null,
      usage,
      costUsd: costOfAll(usage),
      productive: text.trim() !== "" || events.some(isToolDone),
      ...(isError && { error: messageOf(last["errorMessage"]) ?? `stopped: ${String(last["stopReason"])}` }),
    },
    output,
  );
}

/** The model's messages that an event ends with. The end of a run has them all again, also those of a stream's middle that was not kept. */
function answersIn(event: Json): Json[] {
  const { type, message, messages } = event;
  const all = type === "agent_end" ? asList(messages) : type === "message_end" ? [message] : [];
  return all.map(asObject).filter(({ role }) => role === "assistant");
}

const keyOf = ({ timestamp, responseId, content }: Json) => JSON.stringify([timestamp, responseId ?? content]);

const isToolDone = ({ type, isError }: Json) => type === "tool_execution_end" && isError !== true;

function textOf({ content }: Json): string {
  const parts = asList(content).map(asObject);
  return parts.flatMap(({ type, text }) => (type === "text" ? (asText(text) ?? []) : [])).join("\n");
}

/** What one of the model's messages used. */
export function usageIn({ model, usage }: Json): ModelUsage {
  const used = asObject(usage);
  return usageOf(asText(model) ?? "", {
    input: tokens(used["input"]),
    output: tokens(used["output"]),
    cacheRead: tokens(used["cacheRead"]),
    cacheWrite5m: tokens(used["cacheWrite"]),
    costUsd: dollars(asObject(used["cost"])["total"]),
  });
}

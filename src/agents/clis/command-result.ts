import { asList, asObject, asText } from "../json.js";
import type { Headless, ModelUsage, Output, Report } from "./headless.js";
import { dollars, jsonIn, reportOf, tokens, usageOf, withSystem } from "./results.js";

/**
 * Any program as an agent without a terminal: the prompt comes on standard input. Its last line may be a result, a JSON
 * object with one of `verdict`, `text`, `cost_usd` and `usage`; else what it printed is its answer. The line with the
 * verdict stays at the end of the answer.
 */
export const commandHeadless: Headless = {
  restricts: { access: false, tools: false },
  start: (request) => ({ args: [], stdin: withSystem({ ...request, sessionRef: null }), env: {} }),
  read: readResult,
};

const FIELDS = ["verdict", "text", "cost_usd", "usage"];

function readResult(output: Output): Report {
  const printed = output.stdout.trimEnd();
  const line = printed.slice(printed.lastIndexOf("\n") + 1);
  const found = jsonIn(line);
  const result = found !== undefined && FIELDS.some((field) => Object.hasOwn(found, field)) ? found : {};
  const text = asText(result["text"]) ?? (result === found ? printed.slice(0, -line.length) : printed);
  const says = asText(result["verdict"]) !== undefined;
  const used = result["usage"];
  return reportOf(
    {
      text: says ? `${text.trimEnd()}\n${line}` : text,
      usage: (Array.isArray(used) ? asList(used) : used === undefined ? [] : [used]).map(usageIn),
      costUsd: dollars(result["cost_usd"]),
      // A program without a result says by its exit code whether it did its work.
      productive: text.trim() !== "" || says || (result !== found && output.exitCode === 0),
    },
    output,
  );
}

/** Tokens with the names of the Anthropic API; `input_tokens` leaves out what came from or went into a cache. */
function usageIn(value: unknown): ModelUsage {
  const used = asObject(value);
  return usageOf(asText(used["model"]) ?? "", {
    input: tokens(used["input_tokens"]),
    output: tokens(used["output_tokens"]),
    cacheRead: tokens(used["cache_read_input_tokens"]),
    cacheWrite5m: tokens(used["cache_creation_input_tokens"]),
    costUsd: dollars(used["cost_usd"]),
  });
}

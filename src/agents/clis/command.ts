import type { AgentCli } from "./cli.js";
import { asNumber, asObject, asText, type Json, parseLines } from "./json.js";
import { type HeadlessResult, NO_TOKENS, settleResult } from "./result.js";

/**
 * Any program as an agent; `$MU_COMMAND_COMMAND` or `--command` names it. It has no screen rules and no turns: while
 * its process lives it takes input. Headless, it gets the prompt on standard input and may end its output with one
 * line of JSON: `{"text", "sessionRef", "costUsd", "tokens", "error"}`, all optional.
 */
export const command: AgentCli = {
  key: "command",
  command: "cat",
  access: { full: [], "read-only": [] },
  interactive: () => ({ args: [], env: {} }),
  resume: () => undefined,
  headless: (prompt) => ({ args: [], env: {}, stdin: prompt }),
  parseResult: parsePlain,
  pasteEnterDelayMs: 150,
  homeColumn: (screen) => screen.cursorX,
  proof: { by: "echo" },
  reading: { by: "process" },
};

/** The output is the answer, but for a last line of JSON that is a result. */
export function parsePlain(stdout: string, stderr: string, exitCode: number | null): HeadlessResult {
  const lines = stdout.trimEnd().split("\n");
  const result = readResult(lines.at(-1) ?? "");
  const output = (result ? lines.slice(0, -1) : lines).join("\n").trim();
  const tokens = asObject(result?.tokens);
  const answer = {
    sessionRef: asText(result?.sessionRef),
    // A command may do its work without a word.
    text: asText(result?.text) ?? (output || (exitCode === 0 ? "(no output)" : undefined)),
    costUsd: typeof result?.costUsd === "number" ? result.costUsd : undefined,
    tokens: {
      ...NO_TOKENS,
      input: asNumber(tokens.input),
      output: asNumber(tokens.output),
      cacheRead: asNumber(tokens.cacheRead),
      cacheWrite5m: asNumber(tokens.cacheWrite5m),
      cacheWrite1h: asNumber(tokens.cacheWrite1h),
    },
    error: asText(result?.error),
  };
  return settleResult(answer, stderr, exitCode);
}

function readResult(line: string): Json | undefined {
  const found = parseLines(line)[0];
  const known = ["text", "sessionRef", "costUsd", "tokens", "error"];
  return found && known.some((key) => found[key] !== undefined) ? found : undefined;
}

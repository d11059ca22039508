import type { Moment } from "./script.js";

/** A conversation on either wire, reduced to who said what. */
export interface Utterance {
  speaker: "person" | "model" | "tool";
  text: string;
}

/** A function that the client lets the model call. */
export interface OfferedTool {
  name: string;
  /** Names of its parameters with their JSON types. */
  parameters: Readonly<Record<string, string>>;
}

export interface ToolCall {
  id: string;
  name: string;
  input: Readonly<Record<string, unknown>>;
}

/**
 * Where the conversation stands, read off what the client sent: so restarts, retries and many clients at once need
 * no bookkeeping here.
 */
export function locate(utterances: readonly Utterance[]): Omit<Moment, "captures"> {
  const said = utterances
    .map((utterance) => (utterance.speaker === "person" ? { ...utterance, text: unwrap(utterance.text) } : utterance))
    .filter((utterance) => utterance.speaker !== "person" || utterance.text !== "");
  const latest = said.findLastIndex(({ speaker }) => speaker === "person");
  const since = said.slice(latest + 1);
  return {
    prompt: said[latest]?.text ?? "",
    earlier: said.slice(0, Math.max(0, latest)).flatMap(({ speaker, text }) => (speaker === "person" ? [text] : [])),
    step: since.filter(({ speaker }, at) => speaker === "model" && since[at - 1]?.speaker !== "model").length,
    toolResult: since.findLast(({ speaker }) => speaker === "tool")?.text.trim() ?? "",
  };
}

/** Claude Code adds reminders to what a person typed and marks what was pasted. */
function unwrap(text: string): string {
  return text
    .replace(/<system-reminder>[\s\S]*?<\/system-reminder>/g, "")
    .replace(/<\/?pasted_content\b[^>]*>/g, "")
    .trim();
}

const SHELL_TOOL = /^(bash|shell|exec_command|run_shell_command)$/i;

/** `command` as a call of the shell tool among `tools`; undefined when the client offers none. */
export function callShell(
  tools: readonly OfferedTool[],
  command: string,
  { id, leaves }: { id: string; leaves: boolean },
): ToolCall | undefined {
  const tool = tools.find(({ name }) => SHELL_TOOL.test(name));
  if (!tool) return undefined;
  const parameter = "cmd" in tool.parameters ? "cmd" : "command";
  const value = tool.parameters[parameter] === "array" ? ["sh", "-c", command] : command;
  const description = "description" in tool.parameters ? { description: "Run a scripted command" } : {};
  const asks = { sandbox_permissions: "require_escalated", justification: "It writes outside the project" };
  const leave = leaves && "sandbox_permissions" in tool.parameters ? asks : {};
  return { id, name: tool.name, input: { [parameter]: value, ...description, ...leave } };
}

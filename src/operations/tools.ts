import * as z from "zod";
import type { NextStep } from "../errors.js";
import { shellWords } from "../names.js";
import type { Program } from "./app.js";
import { type FieldNotes, notesOf } from "./fields.js";
import type { Operation } from "./operation.js";
import { flagName, type ToolSet } from "./verb.js";

/** What the tools of an agent that works on tasks are named after. */
const WORKER =
  "me me.next task.list task.show task.notes task.claim task.note task.add task.block task.close task.release task.wait workspace.refresh land";

/** What is added for one who leads a crew. */
const LEADER =
  "state log track.list task.apply task.update task.next task.search task.tree task.unblock task.open task.reject task.defer task.delete agent.spawn agent.list agent.show agent.read agent.send agent.wait agent.explain agent.kick agent.close agent.restart delivery.list workspace.list workspace.conflicts workspace.diff workstream.init workstream.list workstream.set reconcile recover undo sql";

/** Whether a set has the verb as a tool; `all` has every one that needs no terminal and no standard input. */
export function isOffered(set: ToolSet, { name, needs, standalone, outward }: Operation): boolean {
  if (needs !== undefined || standalone || outward) return false;
  const names = set === "worker" ? WORKER : `${WORKER} ${LEADER}`;
  return set === "all" || names.split(" ").includes(name);
}

/** What an agent's CLI shows its model of a set. */
export const INSTRUCTIONS: Readonly<Record<ToolSet, string>> = {
  worker:
    "You are one of several agents that work on one task graph. Take a task with task_claim {next: true}, read it with task_show, write down what you find out with task_note, and finish it with task_close. Then take the next one; if none is ready, stop or wait with task_wait. Give a task that you cannot finish back with task_release. The field workstream is yours by default. A fault names the tool to call next.",
  orchestrator:
    "You lead a crew of agents on one task graph. Plan with task_apply, see with state and track_list how much can be done at once, start agents with agent_spawn, and give them prompts with agent_send. Wait with task_wait, bring finished work to its branch with land, and take back a mistake with undo. The field workstream is yours, or this folder's, by default. Tools that delete do nothing until yes is true.",
  all: "Crews of coding agents work on one task graph. state shows a workstream at a glance; task_… plans and does work, agent_… runs agents in tmux panes, workspace_… gives them checkouts, and land brings finished work to its branch. Tools that delete do nothing until yes is true. A fault names the tool to call next.",
};

/** `task.claim` as a tool: `task_claim`. */
export function toolName(name: string): string {
  return name.replace(/[.-]/g, "_");
}

/** Characters of a description that a small set has; whole sentences of it. */
const SHORT = 120;

/** A tool as a client sees it. A small set leaves out what a model does without, and the server checks all the same. */
export function describeTool(operation: Operation, set: ToolSet) {
  const { name, summary, description = "" } = operation;
  const sentences = inToolWords(description, operation).match(/.+?[.)](?= |$)/g) ?? [];
  let text = `${summary}.`;
  for (const sentence of sentences) {
    if (set !== "all" && text.length + sentence.length > SHORT) break;
    text += ` ${sentence.trim()}`;
  }
  const output = set === "all" ? objectSchema(toolSchema(operation.output(), "output", operation, [])) : undefined;
  return {
    name: toolName(name),
    description: text,
    inputSchema: toolSchema(operation.input(), "input", operation, set === "all" ? [] : BOUNDS),
    ...(output && { outputSchema: output }),
    annotations: toolHints(operation),
  };
}

/** The schema of an object, also of one of several; undefined where the result may be something else, such as a list. */
function objectSchema(schema: JsonObject): JsonObject | undefined {
  if (schema["type"] === "object") return schema;
  const several = schema["anyOf"] as JsonObject[] | undefined;
  return several?.every(({ type }) => type === "object") ? { type: "object", ...schema } : undefined;
}

/** What a client may assume of a tool before it calls it. */
function toolHints({ effect, reconcile, acts = [], repeatable }: Operation) {
  const isRead = effect === "read" && !reconcile && acts.length === 0;
  return {
    readOnlyHint: isRead,
    destructiveHint: effect === "destroy" || acts.includes("ends"),
    idempotentHint: isRead || reconcile !== undefined || repeatable === true,
    openWorldHint: acts.includes("runs"),
  };
}

/** What the command line alone needs of a field. */
const PRIVATE = Object.keys({
  names: true,
  scope: true,
  past: true,
  unlessGiven: true,
  replaces: true,
  everywhere: true,
  short: true,
  aliases: true,
  completes: true,
  value: true,
  commas: true,
  lines: true,
  outward: true,
} satisfies Record<keyof FieldNotes, true>);
/** What a model does without. */
const BOUNDS = [
  "minLength",
  "maxLength",
  "minimum",
  "exclusiveMinimum",
  "maximum",
  "pattern",
  "minItems",
  "additionalProperties",
];

/** Said of nearly every tool's field `workstream`; a small set says it once, in its instructions. */
const YOURS = "Workstream (default: yours)";

interface JsonObject {
  [key: string]: unknown;
}

/** The fields of a verb that no tool has: they ask servers on the network. */
export const outwardFields = (operation: Operation) =>
  Object.entries(operation.input().shape).flatMap(([name, schema]) =>
    notesOf(schema as z.ZodType).outward ? [name] : [],
  );

/** The JSON schema of what a tool takes or gives, in the words of tools. */
function toolSchema(schema: z.ZodType, io: "input" | "output", operation: Operation, without: string[]): JsonObject {
  const { $schema: _, ...made } = z.toJSONSchema(schema, {
    io,
    unrepresentable: "any",
    override: ({ jsonSchema }) => {
      for (const key of [...PRIVATE, ...without]) delete (jsonSchema as JsonObject)[key];
      if (without.length > 0 && jsonSchema.default === false) delete jsonSchema.default;
      const { description } = jsonSchema;
      if (description !== undefined) jsonSchema.description = inToolWords(description, operation);
      if (without.length > 0 && jsonSchema.description === YOURS) delete jsonSchema.description;
      const { nextSteps } = (jsonSchema.properties ?? {}) as { nextSteps?: JsonObject };
      if (nextSteps?.["items"]) nextSteps["items"] = NEXT_TOOL;
    },
  });
  if (io === "input") for (const name of outwardFields(operation)) delete (made.properties as JsonObject)[name];
  return made;
}

const NEXT_TOOL = {
  type: "object",
  properties: { intent: { type: "string" }, tool: { type: "string" }, arguments: { type: "object" } },
  required: ["intent", "tool", "arguments"],
};

/** A text that speaks of flags and commands, with fields and tools instead. */
export function inToolWords(text: string, operation?: Operation): string {
  return text
    .replace(/[;,]? -(?: and @file in a text| reads standard input)\b/g, "")
    .replace(/; @file reads a file, @- standard input$| \(repeatable\)$/, "")
    .replace(/`mu ([a-z-]+(?: [a-z-]+)*)[^`]*`/g, (_, words: string) => toolName(words.replaceAll(" ", "_")))
    .replace(/^Workstream \(default: .*\)$/, YOURS)
    .replace(/ ?-w <name>/g, " workstream")
    .replace(/--no-([a-z-]+)/g, (_, name: string) => {
      const negated = fieldName(`no-${name}`);
      return operation === undefined || hasField(operation, negated) ? negated : `${fieldName(name)}: false`;
    })
    .replace(/--([a-z][a-z-]*)(?: <[^>]*>)?/g, (_, name: string) => fieldName(name))
    .replace(/<([a-z-]+)>:/g, (_, name: string) => `${fieldName(name)}:`);
}

const fieldName = (flag: string) => flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

const hasField = (operation: Operation, field: string) =>
  Object.keys(operation.input().shape).some((name) => flagName(name) === flagName(field));

/** The same value, with tools for the commands of its next steps; a step that no offered tool can do is left out. */
export function withNextTools(value: unknown, program: Program, isTool: (name: string) => boolean): unknown {
  if (Array.isArray(value)) return value.map((one) => withNextTools(one, program, isTool));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => {
      if (key !== "nextSteps" || !Array.isArray(one)) return [key, withNextTools(one, program, isTool)];
      return [key, (one as NextStep[]).flatMap((step) => nextTool(step, program, isTool))];
    }),
  );
}

function nextTool({ intent, command }: NextStep, program: Program, isTool: (name: string) => boolean) {
  const [first, ...words] = shellWords(command);
  const call = first === "mu" ? program.readCommand(words) : undefined;
  const tool = call && toolName(call.verb);
  return tool !== undefined && isTool(tool) ? [{ intent, tool, arguments: call?.input ?? {} }] : [];
}

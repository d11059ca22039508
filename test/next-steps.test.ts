import { expect, it, onTestFinished } from "vitest";
import { Fault } from "../src/errors.js";
import { execute } from "../src/operations/execute.js";
import { loadOperations } from "../src/operations/index.js";
import { parseCommand } from "./support/command.js";
import { seededApp } from "./support/seeded.js";

/** Faults of a next step that its verb documents as an outcome. */
const DOCUMENTED = ["task.none_ready"];

const operations = await loadOperations();
const examples = operations
  .filter(({ name }) => /^(task|me|workstream|track|log|sql|undo)(\.|$)/.test(name))
  .flatMap((operation) => operation.examples.map(({ command }) => command));

/** Lines beside the examples whose next step depends on the state that they leave. */
const MORE = [
  "mu task add later --title Later --blocked-by build",
  "mu task add held --title Held --hold review",
  "mu task add xmas --title Xmas --not-before 2999-12-25",
  "mu task add epic --title Epic --kind container",
  "mu task open deploy",
  "mu task close deploy --evidence ok",
  "mu task delete build --yes",
  "mu task wait deploy --timeout 1ms",
];

it.each([...examples, ...MORE])("what %s suggests can be pasted", async (command) => {
  const app = await seededApp();
  onTestFinished(app.end);
  const run = async (line: string) => {
    const { verb, input } = parseCommand(line);
    const operation = operations.find(({ name }) => name === verb.name);
    if (operation === undefined) throw new Error(line);
    // A wait would wait: that it begins is enough.
    const request = verb.name === "task.wait" ? { ...app.request, signal: AbortSignal.abort() } : app.request;
    return execute(operation, input, app.world, request) as Promise<{ nextSteps?: { command: string }[] }>;
  };
  const first = await run(command).catch((error: unknown) => {
    if (error instanceof Fault) return error;
    return { nextSteps: [] };
  });
  for (const step of first.nextSteps ?? []) {
    // Agents need panes.
    if (!step.command.startsWith("mu ") || step.command.startsWith("mu agent ") || step.command.endsWith("--help"))
      continue;
    expect(step.command).not.toMatch(/<[a-z]|undefined/);
    const outcome = await run(step.command).catch((error: Fault) => error);
    const code = outcome instanceof Error ? ((outcome as Fault).code ?? outcome.message) : "ok";
    expect([step.command, code]).toEqual([step.command, DOCUMENTED.includes(code) ? code : "ok"]);
  }
});

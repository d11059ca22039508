import { Fault } from "../errors.js";
import { type App, step } from "./define.js";

/**
 * Refuses an agent that says which commands run for others: in new workspaces, before a close, before a landing. Its
 * prompt, or a repository, may have put them before it. Faults `setup.needs_person`.
 */
export function requirePerson(app: App, command: string): void {
  if (app.caller.kind === "person") return;
  throw new Fault(
    "conflict",
    "setup.needs_person",
    `${app.caller.name} is an agent. Only people can choose commands that run for others.`,
    [step("Ask the person to run it", command)],
  );
}

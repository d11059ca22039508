import { resolve } from "node:path";
import * as z from "zod";
import type { SpawnOptions } from "../../crew/spawn.js";
import { Fault } from "../../errors.js";
import { LAYOUTS } from "../../tmux/appearance.js";
import { getWorkstream } from "../../workstreams/workstream.js";
import { type App, step } from "../define.js";
import { durationField, field, flag, type InputOf, optionalText } from "../fields.js";
import { backendField, projectRootField, wishesOf } from "../workspace/fields.js";
import { cliField } from "./shapes.js";

/** What `agent spawn` and `agent ensure` take alike. */
export const spawnFields = () => ({
  cli: cliField("Agent CLI (default: inferred from the command, else pi)"),
  command: optionalText("Command line to run instead of the CLI's own", { value: "line" }),
  role: field(z.string().min(1).max(64).optional(), "Role: what the agent is for; it can claim tasks with this role", {
    completes: "role",
  }),
  access: field(z.enum(["full", "read-only"]).optional(), "File access, if the CLI supports it"),
  model: optionalText("Model name, as the CLI spells it"),
  cwd: optionalText("Working folder (default: the workstream's)", { value: "folder" }),
  env: field(z.array(z.string()).optional(), "Environment variable NAME=value (repeatable)", { value: "pair" }),
  window: field(z.string().min(1).max(64).optional(), "Window to share with other agents (default: its own)", {
    aliases: ["tab"],
    value: "name",
  }),
  layout: field(z.enum(LAYOUTS).optional(), "Layout of the window's panes"),
  workspace: flag("Give it its own checkout of the project"),
  workspaceBackend: backendField(),
  workspaceFrom: optionalText("Ref that a new checkout starts from (default: the target branch)", {
    aliases: ["from"],
    value: "ref",
  }),
  workspaceProjectRoot: projectRootField({ aliases: ["project-root"] }),
  ready: field(z.boolean().default(true), "Do not wait until the CLI is ready for a prompt"),
  timeout: durationField("How long to wait for it").prefault("30s"),
});

/** The flags as the core takes them. Faults `usage.role_is_access`, `usage.bad_pair`, `usage.no_workspace`, `usage.two_folders`. */
export async function spawnOptions(
  app: App,
  workstream: string,
  input: InputOf<typeof spawnFields>,
): Promise<SpawnOptions> {
  const { root } = await getWorkstream(app.context.store.db, workstream);
  const { ready, timeout, cwd, env, workspace, workspaceBackend, workspaceFrom, workspaceProjectRoot, ...wishes } =
    input;
  const place = { backend: workspaceBackend, from: workspaceFrom, projectRoot: workspaceProjectRoot };
  const spawnIt = [step("Spawn it in its workspace", "mu agent spawn <name> --workspace")];
  if (!workspace && Object.values(place).some((value) => value !== undefined)) {
    throw new Fault("usage", "usage.no_workspace", "These flags describe a workspace: pass --workspace, too.", spawnIt);
  }
  if (workspace && cwd !== undefined) {
    throw new Fault("usage", "usage.two_folders", "An agent works in its workspace or in --cwd, not in both.", spawnIt);
  }
  if (wishes.role === "full-access" || wishes.role === "read-only") throw roleIsAccess(wishes.role);
  return {
    ...wishes,
    cwd: resolve(app.request.cwd, cwd ?? root ?? "."),
    workspace: workspace ? await wishesOf(app, workstream, place) : undefined,
    env: env && Object.fromEntries(env.map(pairOf)),
    ready: ready ? { timeoutMs: timeout, signal: app.request.signal } : undefined,
  };
}

function pairOf(text: string): [string, string] {
  const at = text.indexOf("=");
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new Fault("usage", "usage.bad_pair", `--env takes NAME=value: ${JSON.stringify(text)}.`);
}

function roleIsAccess(word: string): Fault {
  const access = word === "read-only" ? "read-only" : "full";
  const message = `A role says what an agent is for. To set what it may do, pass --access ${access}.`;
  const spawnIt = step("Spawn it like this", `mu agent spawn <name> --access ${access}`);
  return new Fault("usage", "usage.role_is_access", message, [spawnIt]);
}

import { resolve } from "node:path";
import * as z from "zod";
import type { SpawnOptions } from "../../crew/spawn.js";
import { Fault, ignoreFault } from "../../errors.js";
import type { Host } from "../../host.js";
import type { Role } from "../../project/settings.js";
import { LAYOUTS } from "../../tmux/appearance.js";
import { detectBackend } from "../../vcs/backends.js";
import type { WorkspaceWishes } from "../../workspaces/create.js";
import { type App, step } from "../define.js";
import { durationField, field, flag, type InputOf, optionalText } from "../fields.js";
import { projectOf } from "../project.js";
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
  workspace: flag("Give it its own checkout, also where none is the default: a copy outside of repositories"),
  here: flag("Let it work in the folder itself, without a checkout of its own"),
  workspaceBackend: backendField(),
  workspaceFrom: optionalText("Ref that a new checkout starts from (default: the target branch)", {
    aliases: ["from"],
    value: "ref",
  }),
  workspaceProjectRoot: projectRootField({ aliases: ["project-root"] }),
  ready: field(z.boolean().default(true), "Do not wait until the CLI is ready for a prompt"),
  timeout: durationField("How long to wait for it").prefault("30s"),
});

type SpawnInput = InputOf<typeof spawnFields>;

/**
 * The flags as the core takes them; what they leave open, the role says if the project's settings have it. Faults
 * `usage.role_is_access`, `usage.bad_pair`, `usage.no_workspace`, `usage.two_folders`, `settings.invalid`.
 */
export async function spawnOptions(app: App, workstream: string, input: SpawnInput): Promise<SpawnOptions> {
  const { ready, timeout, cwd, env, role, window, layout } = input;
  if (role === "full-access" || role === "read-only") throw roleIsAccess(role);
  const { root, settings } = await projectOf(app, workstream);
  const profile = settings.roles[role ?? ""];
  const launch = launchBy(profile, input);
  const isAlone = settings.workspaces === "auto" && launch.access !== "read-only" && profile?.workspace !== false;
  return {
    ...{ ...launch, role, window, layout },
    cwd: resolve(app.request.cwd, cwd ?? root),
    workspace: await workspaceFor(app, workstream, input, isAlone),
    env: env && Object.fromEntries(env.map(pairOf)),
    ready: ready ? { timeoutMs: timeout, signal: app.request.signal } : undefined,
  };
}

/** How its CLI is started: by the flags, else as the role's runs. */
function launchBy(profile: Role | undefined, { cli, command, model, access }: SpawnInput) {
  const own = { cli, command, model, access: access ?? profile?.access };
  if (profile === undefined || command !== undefined || (cli !== undefined && cli !== profile.cli)) return own;
  return {
    ...own,
    cli: profile.cli,
    command: profile.command ?? undefined,
    model: model ?? profile.model ?? undefined,
  };
}

/** The workspace to give it: one that is asked for, else, `byDefault`, one of the repository around the project. */
async function workspaceFor(
  app: App,
  workstream: string,
  { workspace, here, cwd, workspaceBackend, workspaceFrom, workspaceProjectRoot }: SpawnInput,
  byDefault: boolean,
): Promise<WorkspaceWishes | undefined> {
  const place = { backend: workspaceBackend, from: workspaceFrom, projectRoot: workspaceProjectRoot };
  const isAsked = workspace || Object.values(place).some((value) => value !== undefined);
  const isElsewhere = here || cwd !== undefined;
  const spawnIt = [step("Spawn it in its workspace", "mu agent spawn <name> --workspace")];
  if (isElsewhere && workspace) {
    const other = here ? "in the folder that --here means" : "in --cwd";
    throw new Fault("usage", "usage.two_folders", `An agent works in its workspace or ${other}, not in both.`, spawnIt);
  }
  if (isElsewhere && isAsked) {
    const message = `These flags describe a workspace: leave ${here ? "--here" : "--cwd"} out.`;
    throw new Fault("usage", "usage.no_workspace", message, spawnIt);
  }
  if (isElsewhere || (!isAsked && !byDefault)) return undefined;
  const wishes = await wishesOf(app, workstream, place);
  return isAsked || (await hasRepository(await app.crew(), wishes.projectRoot)) ? wishes : undefined;
}

/** Whether a folder is in a repository with something to check out. Dotfiles in the home directory are no project. */
async function hasRepository(host: Host, folder: string): Promise<boolean> {
  const found = await detectBackend(host, folder).catch(ignoreFault("vcs.no_folder"));
  if (found === undefined || found.backend.key === "none" || found.root === host.env["HOME"]) return false;
  const target = found.backend.target(host, found.root).catch(ignoreFault("vcs.no_commits", "vcs.no_target"));
  return (await target) !== undefined;
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

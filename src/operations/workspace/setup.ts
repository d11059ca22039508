import { resolve } from "node:path";
import * as z from "zod";
import { newGroup } from "../../db/context.js";
import { Fault } from "../../errors.js";
import { type AgentRef, duration, qualifiedName, quote } from "../../names.js";
import { detectBackend } from "../../vcs/backends.js";
import { approveCommands, isApproved, type RepositoryCommand } from "../../workspaces/setup/command.js";
import { planSetup, REPOSITORY_FILE, type SetupPlan } from "../../workspaces/setup/plan.js";
import { SETUP_DONE, type SetupDone, setUpWorkspace } from "../../workspaces/setup/setup.js";
import { type WorkspaceRow, workspaceRow } from "../../workspaces/workspace.js";
import { readSettings } from "../../workstreams/settings.js";
import { changeSetting, getSettings, getWorkstream } from "../../workstreams/workstream.js";
import { type App, type Drawing, defineOperation, type Paint, shape, step, type TypeOf } from "../define.js";
import { agentField, field, flag, workstreamField } from "../fields.js";
import { requirePerson } from "../require-person.js";

const KEYS = ["copy", "link", "command", "key", "ports", "timeoutSeconds"] as const;

const PATTERN = shape({ pattern: "string", from: "string" });
const names = (description: string) =>
  field(z.array(z.string().trim().min(1)).optional(), description, {
    value: "pattern",
    commas: true,
  });

const PREPARED = shape({
  workstream: "string",
  root: "string",
  copy: [PATTERN],
  link: [PATTERN],
  includes: "boolean",
  command: [{ command: "string", from: "string", approved: "boolean" }, null],
  key: "string[]",
  check: [{ command: "string", approved: "boolean" }, null],
  ports: "number",
  timeoutSeconds: "number",
  approved: "string[]",
  done: [{ agent: "string", ...SETUP_DONE }, null],
});

type Prepared = TypeOf<typeof PREPARED>;

export const workspaceSetup = defineOperation({
  name: "workspace.setup",
  summary: "Show or change the setup of new workspaces, or run it again",
  description: `Files that are not tracked are copied or linked from the project's folder, ports are leased (MU_PORT_0 …), then a command runs. Patterns are those of .gitignore. A repository can bring its own wishes in ${REPOSITORY_FILE} (copy, link, command, key, ports, check) and .worktreeinclude; a command from there runs only after a person approved it, and again after it changed.`,
  effect: "write",
  acts: ["runs"],
  input: () => ({
    agent: agentField("Run the setup again in this agent's workspace").optional(),
    workstream: workstreamField(),
    copy: names("Untracked files to copy into new workspaces"),
    link: names("Untracked files to link to the project's own"),
    command: field(z.string().optional(), "Command to run in every new workspace"),
    key: names("Tracked files that the command depends on; a landing runs it again only if they change"),
    ports: field(z.number().int().optional(), "Number of ports to lease for each workspace"),
    timeoutSeconds: field(z.number().int().optional(), "Timeout of the command, in seconds"),
    approve: flag("Approve the commands defined by the repository"),
    unset: field(z.array(z.enum(KEYS)).optional(), "Restore the default", { value: "key" }),
  }),
  output: PREPARED,
  positional: ["agent"],
  examples: [
    { command: "mu workspace setup", shows: "the effective setup and where each value comes from" },
    { command: "mu workspace setup --copy .env --copy 'config/*.local' --ports 2", shows: "files to copy and ports" },
    { command: "mu workspace setup --command 'npm ci'", shows: "a command that prepares each workspace" },
    { command: "mu workspace setup --key package-lock.json", shows: "landings install again only if it changes" },
    {
      command: "mu workspace setup --link node_modules --command 'npm ci'",
      shows: "a command that would empty the project's own folder",
      fault: "setup.writes_through_link",
    },
    { command: "mu workspace setup --approve", shows: "approve the repository's own command" },
    { command: "mu workspace setup nobody", shows: "an agent without a workspace", fault: "workspace.not_found" },
    { command: "mu workspace setup --ports 1000", shows: "an invalid number of ports", fault: "setting.invalid" },
  ],
  async run(app, { agent: ref, workstream, approve, unset = [], ...wishes }) {
    const { db } = app.context.store;
    const row = ref === undefined ? undefined : await readyRow(app, ref);
    if (approve || wishes.command !== undefined || unset.includes("command")) {
      requirePerson(app, "mu workspace setup --approve");
    }

    const root = row?.root ?? (await projectRoot(app, workstream));
    const given = Object.fromEntries(KEYS.flatMap((key) => (wishes[key] === undefined ? [] : [[key, wishes[key]]])));
    const reset = Object.fromEntries(unset.map((key) => [key, readSettings("").setup[key]]));
    // Refuses the new setup before any of it is stored.
    await planSetup(root, { ...(await getSettings(db, workstream)).setup, ...reset, ...given });
    const context = { ...app.context, group: app.context.group ?? newGroup() };
    for (const key of unset) await changeSetting(context, workstream, `setup.${key}`, undefined);
    for (const key of KEYS) {
      const wish = wishes[key];
      if (wish !== undefined) await changeSetting(context, workstream, `setup.${key}`, String(wish));
    }
    const { setup: settings } = await getSettings(db, workstream);
    const plan = await planSetup(root, settings);
    const foreign = commandsOf(plan, root);
    const approved = approve ? await approveCommands(context, workstream, foreign) : [];
    const done =
      row === undefined
        ? null
        : {
            agent: row.agent,
            ...(await setUpWorkspace(await app.crew(), { workspace: row, settings, signal: app.request.signal })),
          };
    const waiting = await notApproved(app, foreign);
    return {
      workstream,
      root,
      ...plan,
      command: plan.command && { ...plan.command, approved: !waiting.includes(plan.command.command) },
      check: plan.check === null ? null : { command: plan.check, approved: !waiting.includes(plan.check) },
      approved,
      done,
    };
  },
  next({ workstream, command, check }) {
    const isWaiting = command?.approved === false || check?.approved === false;
    const approve = step("Approve the repository's command", `mu workspace setup --approve -w ${workstream}`);
    const make = step("Create a workspace", `mu workspace create worker-1 -w ${workstream}`);
    return isWaiting ? [approve, make] : [make];
  },
  render: (result, paint) => [
    result.approved.map((command) => `${paint.bold("Approved")} ${command}`),
    result.done === null ? drawPlan(result, paint) : drawDone(result.done, paint),
  ],
});

/** Faults `workspace.not_found`, `workspace.not_ready`. */
async function readyRow(app: App, ref: AgentRef): Promise<WorkspaceRow> {
  const row = await workspaceRow(app.context.store.db, ref);
  if (row.state === "ready") return row;
  throw new Fault("conflict", "workspace.not_ready", `The workspace of ${quote(ref.name)} is ${row.state}.`, [
    step("Recreate the workspace", `mu workspace recreate ${qualifiedName(ref)}`),
  ]);
}

async function projectRoot(app: App, workstream: string): Promise<string> {
  const { root } = await getWorkstream(app.context.store.db, workstream);
  return (await detectBackend(await app.crew(), resolve(app.request.cwd, root ?? "."))).root;
}

/** The commands that the repository brings along and that would run. */
function commandsOf(plan: SetupPlan, root: string): RepositoryCommand[] {
  const setup = plan.command?.from === REPOSITORY_FILE ? plan.command.command : null;
  return [setup, plan.check].flatMap((command) => (command === null ? [] : [{ root, command }]));
}

async function notApproved(app: App, foreign: readonly RepositoryCommand[]): Promise<string[]> {
  const waiting: string[] = [];
  for (const one of foreign) if (!(await isApproved(app.context.store.db, one))) waiting.push(one.command);
  return waiting;
}

function drawPlan(shown: Prepared, paint: Paint): Drawing {
  const list = (found: Prepared["copy"]) =>
    found.map(({ pattern, from }) => `${pattern} ${paint.dim(`(${from})`)}`).join(", ") || "—";
  const allowed = (approved: boolean) => (approved ? "" : ` ${paint.bold("not approved")}`);
  const { command, check } = shown;
  const commandText = command && `${command.command} ${paint.dim(`(${command.from})`)}${allowed(command.approved)}`;
  return [
    `New workspaces of ${paint.bold(shown.workstream)} get`,
    `  root     ${shown.root}`,
    `  copy     ${list(shown.copy)}${shown.includes ? ", what .worktreeinclude names" : ""}`,
    `  link     ${list(shown.link)}`,
    `  command  ${commandText ?? "—"}`,
    shown.key.length > 0 && `  key      ${shown.key.join(", ")}`,
    `  timeout  ${duration(shown.timeoutSeconds * 1000)}`,
    `  ports    ${shown.ports}`,
    check && `  check    ${check.command} ${paint.dim(`(${REPOSITORY_FILE})`)}${allowed(check.approved)}`,
  ];
}

function drawDone({ agent, copied, linked, ports, command }: SetupDone & { agent: string }, paint: Paint): Drawing {
  return [
    `Set up the workspace of ${paint.bold(agent)}`,
    copied.length > 0 && `  copied   ${copied.join(", ")}`,
    linked.length > 0 && `  linked   ${linked.join(", ")}`,
    ports.length > 0 && `  ports    ${ports.join(", ")}`,
    command && `  command  ${command.command} (${command.seconds.toFixed(1)} s)`,
  ];
}

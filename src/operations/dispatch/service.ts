import { installService, planService, type Service, uninstallService } from "../../dispatch/service.js";
import { Fault } from "../../errors.js";
import { workstreamRow } from "../../workstreams/workstream.js";
import { type App, defineOperation, step } from "../define.js";
import { flag, workstreamField } from "../fields.js";

export const dispatchInstall = defineOperation({
  name: "dispatch.install",
  summary: "Have the system start the dispatcher after a reboot",
  description:
    "Writes a systemd user unit, on macOS a launchd agent, and enables it; it starts nothing now. It keeps the path and mu's own variables, and no keys: those belong into the project's .env. Without a login it starts only after `loginctl enable-linger`.",
  effect: "write",
  journalled: false,
  repeatable: true,
  needs: ["terminal"],
  input: () => ({
    workstream: workstreamField(),
    crew: flag("Also hand tasks to idle agents in panes"),
    dryRun: flag("Only show the file"),
  }),
  output: { path: "string", text: "string", changed: "boolean", dryRun: "boolean" },
  examples: [
    { command: "mu dispatch install --dry-run", shows: "the file that would be written" },
    { command: "mu dispatch install -w nowhere", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  async run(app, { workstream, crew, dryRun }) {
    const host = await app.crew();
    const service = await serviceOf(app, workstream, crew ? ["--crew"] : []);
    const plan = planService(host, service);
    if (dryRun) return { ...plan, changed: false, dryRun };
    if (app.program.argvOf === undefined)
      throw new Fault("unavailable", "dispatch.no_program", "The program mu is started, and this is not it.");
    return { ...plan, ...(await installService(host, service)), dryRun };
  },
  next: ({ dryRun }, { workstream }) => (dryRun ? [] : [step("Start it now", `mu dispatch --detach -w ${workstream}`)]),
  render: ({ path, text, changed, dryRun }) =>
    dryRun ? [`${path}:`, text] : `${changed ? "Wrote and enabled" : "Unchanged, and enabled:"} ${path}`,
});

export const dispatchUninstall = defineOperation({
  name: "dispatch.uninstall",
  summary: "Have the system no longer start the dispatcher",
  description: "Ends the dispatcher that the system has started; runs go on. Removes the file only if it is mu's.",
  effect: "write",
  journalled: false,
  repeatable: true,
  needs: ["terminal"],
  input: () => ({ workstream: workstreamField() }),
  output: { path: "string", changed: "boolean" },
  examples: [
    { command: "mu dispatch uninstall", shows: "take it away" },
    { command: "mu dispatch uninstall -w nowhere", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  async run(app, { workstream }) {
    const { name } = await workstreamRow(app.context.store.db, workstream);
    return uninstallService(await app.crew(), name);
  },
  render: ({ path, changed }) => (changed ? `Removed ${path}` : `Nothing to remove: there is no ${path}`),
});

async function serviceOf(app: App, workstream: string, flags: readonly string[]): Promise<Service> {
  const { name, root } = await workstreamRow(app.context.store.db, workstream);
  const { databaseEnv, env } = await app.crew();
  const words = ["dispatch", "-w", name, ...flags];
  const kept = ["PATH", "LANG", "TMUX_TMPDIR", "MU_TMUX_SOCKET", "MU_NO_TMUX"].flatMap((key) =>
    env[key] ? [[key, env[key]] as const] : [],
  );
  return {
    workstream: name,
    cwd: root ?? app.request.cwd,
    argv: app.program.argvOf?.(words) ?? ["mu", ...words],
    env: { ...Object.fromEntries(kept), ...databaseEnv },
  };
}

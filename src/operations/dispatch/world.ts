import type { DispatchWorld } from "../../dispatch/dispatch.js";
import type { Scene } from "../../dispatch/facts.js";
import { Fault } from "../../errors.js";
import { readSettings, settingsOf } from "../../project/read.js";
import { DEFAULT_SETTINGS } from "../../project/settings.js";
import type { RunRow } from "../../runs/run.js";
import { sessionOf, workstreamRow } from "../../workstreams/workstream.js";
import type { App, Request } from "../define.js";

/** What the project of a workstream is dispatched by. Faults `settings.invalid`. */
export async function sceneOf(
  app: App,
  workstream: string,
  { max = Number.POSITIVE_INFINITY, roles }: { max?: number | undefined; roles?: readonly string[] | undefined } = {},
): Promise<Scene> {
  const { id, name, root } = await workstreamRow(app.context.store.db, workstream);
  const settings = root === null ? DEFAULT_SETTINGS : await readSettings(root);
  const { stateDir } = await app.crew();
  return { workstream: { id, name, root }, settings, stateDir, max, ...(roles?.length && { roles: new Set(roles) }) };
}

/** A dispatcher's world around a request; the settings file is read again whenever it changes. */
export async function dispatchWorld(app: App, scene: Scene): Promise<DispatchWorld> {
  const { root } = scene.workstream;
  const held = root === null ? undefined : settingsOf(root);
  let problem: string | null = null;
  return {
    ...(await app.crew()),
    transport: hasTmux(app) ? "pane" : "child",
    ...(app.request.terminal?.ring && { terminal: app.request.terminal.ring }),
    async scene() {
      const now = await held?.();
      if (now === undefined) return scene;
      if (now.problem !== problem) app.request.remark(now.problem ?? "The settings are good again.");
      problem = now.problem;
      return { ...scene, settings: now.settings };
    },
    launch: (run) => launchRun(app, scene, run),
  };
}

/** Starts the runner of a reserved run. */
function launchRun(app: App, { workstream }: Scene, { id, agent, transport }: RunRow): Promise<void> {
  return startApart(app, workstream, { words: ["runner", String(id)], window: agent, transport });
}

const hasTmux = ({ request }: App) => !request.env["MU_NO_TMUX"];

/** Starts a line of mu's that outlives this process: in a window of the workstream's session, or without tmux behind it. */
export async function startApart(
  app: App,
  workstream: Scene["workstream"],
  {
    words,
    window,
    transport = hasTmux(app) ? "pane" : "child",
  }: { words: string[]; window: string; transport?: string },
): Promise<void> {
  const { program, request } = app;
  const argv = program.argvOf?.(words);
  if (argv === undefined || program.startApart === undefined) {
    throw new Fault("unavailable", "dispatch.no_program", "Runs are started by the program mu, and this is not it.");
  }
  if (transport === "child") return program.startApart(words, request);
  const crew = await app.crew();
  const { pane } = await crew.tmux.openPane({
    session: sessionOf(workstream.name),
    window,
    cwd: workstream.root ?? request.cwd,
    argv,
    env: { ...knobs(request.env), ...crew.databaseEnv },
    sessionEnv: crew.databaseEnv,
    pipe: "cat > /dev/null",
  });
  // A run that has ended by now has settled itself.
  await crew.tmux.confirmPane(pane);
}

/** What a runner in a pane must have of the dispatcher's environment: a tmux server hands on only its own. */
function knobs(env: Request["env"]): Record<string, string> {
  const wanted =
    /^(?:PATH|HOME|LANG|LC_\w+|TMPDIR|XDG_\w+|MU_\w+|\w+_API_KEY|\w+_BASE_URL|CLAUDE_\w+|\w+_proxy|\w+_PROXY)$/;
  const isOwn = (name: string) => /^MU_(?:AGENT\w*|RUN_ID|TASK|PARENT_PID)$/.test(name);
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, text]) => (text && wanted.test(name) && !isOwn(name) ? [[name, text]] : [])),
  );
}

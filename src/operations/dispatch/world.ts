import type { DispatchWorld } from "../../dispatch/dispatch.js";
import type { Scene } from "../../dispatch/facts.js";
import { followScene, readScene } from "../../dispatch/scene.js";
import { Fault } from "../../errors.js";
import { special } from "../../jobs/once.js";
import type { RunRow } from "../../runs/run.js";
import { sessionOf } from "../../workstreams/workstream.js";
import type { App, Request } from "../define.js";

/** What a workstream is dispatched by; see `readScene`. */
export const sceneOf = async (app: App, workstream: string, limits?: Parameters<typeof readScene>[2]): Promise<Scene> =>
  readScene(await app.crew(), workstream, limits);

/** A dispatcher's world around a request; the settings file is read again whenever it changes. */
export async function dispatchWorld(app: App, scene: Scene): Promise<DispatchWorld> {
  return {
    ...(await app.crew()),
    transport: hasTmux(app) ? "pane" : "child",
    ...(app.request.terminal?.ring && { terminal: app.request.terminal.ring }),
    scene: followScene(scene, app.request.remark),
    launch: (run) => launchRun(app, scene, run),
    special,
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

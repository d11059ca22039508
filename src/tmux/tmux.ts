import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Fault } from "../errors.js";
import type { Exec } from "../exec.js";
import { pipePane, setPaneBorders, setPaneIdentity, setPaneLabels } from "./appearance.js";
import { createHeldRun } from "./held.js";
import { paste, sendKeys } from "./input.js";
import { confirmPane, holdPane, killPane, type OpenedPane, type OpenPane, openPane } from "./open.js";
import { askPane, callerPane, findServer, listPanes, serverPid } from "./panes.js";
import { isSupported, type Probe, parseVersion, probeFeatures, readVersion, requireSupported } from "./probe.js";
import { createRun, type Environment, type Run, socketArguments, withoutMu } from "./run.js";
import { captureScreens, readPane, survey } from "./screens.js";
import {
  focusPane,
  hasSession,
  killSession,
  listSessions,
  movePane,
  openSession,
  renameSession,
  renameWindow,
} from "./windows.js";

/** What mu asks of a tmux server. Panes are `%7`, windows `@3`; sessions go by name. */
const CALLS = {
  ...{ listPanes, survey, askPane, captureScreens, readPane },
  ...{ openPane: openOrExplain, confirmPane, holdPane, killPane },
  ...{ hasSession, listSessions, openSession, renameSession, killSession, renameWindow, focusPane, movePane },
  ...{ paste, sendKeys, setPaneIdentity, setPaneLabels, setPaneBorders, pipePane },
};

/** Functions of a `Run`, as methods. */
type Bound<Calls> = {
  [Name in keyof Calls]: Calls[Name] extends (run: Run, ...args: infer Args) => infer Result
    ? (...args: Args) => Result
    : never;
};

/** One tmux server, as mu uses it. */
export interface Tmux extends Bound<typeof CALLS> {
  run: Run;
  /** The program that shows a session, or one pane of it, on the caller's terminal. */
  attachCommand(session: string, pane?: string): Promise<AttachCommand>;
  probe(): Promise<Probe>;
  /** The same server by one client that stays attached to the session until `over`; for looks, which may be made twice. */
  holding(session: string, over: AbortSignal): Tmux;
}

/** A program to run on the user's own terminal. */
export interface AttachCommand {
  file: "tmux";
  args: string[];
  env: Environment;
}

/**
 * tmux behind one executor. The server is `MU_TMUX_SOCKET` (a name, or a path), else that of `$TMUX`, else the
 * user's default one. `run` replaces the executor, to inject failures.
 */
export function createTmux({ exec, env, run: given }: { exec: Exec; env: Environment; run?: Run }): Tmux {
  const run = given ?? createRun({ exec, env });
  const calls: Record<string, (run: Run, ...args: never[]) => unknown> = CALLS;
  const bound = Object.entries(calls).map(([name, call]) => [name, (...args: never[]) => call(run, ...args)]);
  return {
    ...(Object.fromEntries(bound) as Bound<typeof CALLS>),
    run,
    attachCommand: (session, pane) => attachCommand(run, env, pane ?? `=${session}:`),
    probe: () => probe({ exec, env, run }),
    holding: (session, over) => createTmux({ exec, env, run: createHeldRun(run, { env, session, over }) }),
  };
}

/** An old tmux refuses options that it does not know: then its age is the fault to report. */
async function openOrExplain(run: Run, spec: OpenPane): Promise<OpenedPane> {
  return openPane(run, spec).catch(async (error) => {
    await requireSupported(run).catch((reason) => {
      if (reason instanceof Fault && reason.code === "tmux.too_old") throw reason;
    });
    throw error;
  });
}

/** Inside the same server the client switches; inside another one it nests, which tmux refuses unless told. */
async function attachCommand(run: Run, env: Environment, target: string): Promise<AttachCommand> {
  const args = ["-u", ...socketArguments(env.MU_TMUX_SOCKET)];
  const clean = withoutMu(env);
  const caller = callerPane(env);
  const server = await findServer(run);
  if (caller !== undefined && server !== undefined && caller.serverPid === serverPid(server)) {
    return { file: "tmux", args: [...args, "switch-client", "-t", target], env: clean };
  }
  const outside = Object.entries(clean).filter(([name]) => name !== "TMUX" && name !== "TMUX_PANE");
  return { file: "tmux", args: [...args, "attach-session", "-t", target], env: Object.fromEntries(outside) };
}

/** Faults: `tmux.not_installed`. */
async function probe({ exec, env, run }: { exec: Exec; env: Environment; run: Run }): Promise<Probe> {
  const printed = await readVersion(run);
  const version = parseVersion(printed);
  // tmux leaves its socket behind when it ends, so the trial's is in a folder of its own.
  const folder = await mkdtemp(join(tmpdir(), "mu-probe-"));
  try {
    const trial = createRun({ exec, env: { ...env, MU_TMUX_SOCKET: join(folder, "s") } });
    const features = await probeFeatures(trial);
    return { version: version?.text ?? printed.replace(/^tmux /, ""), supported: isSupported(version), features };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

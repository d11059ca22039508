import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Fault } from "../errors.js";
import type { Exec } from "../exec.js";
import {
  type PaneIdentity,
  type PaneLabels,
  pipePane,
  setPaneBorders,
  setPaneIdentity,
  setPaneLabels,
} from "./appearance.js";
import { type Keys, type Paste, paste, sendKeys } from "./input.js";
import { confirmPane, type Death, holdPane, killPane, type OpenedPane, type OpenPane, openPane } from "./open.js";
import { askPane, callerPane, findServer, listPanes, type Pane, type PaneIdentityFacts, serverPid } from "./panes.js";
import { isSupported, type Probe, parseVersion, probeFeatures, readVersion, requireSupported } from "./probe.js";
import { createRun, type Environment, type Run, socketArguments, withoutMu } from "./run.js";
import {
  type CaptureOptions,
  captureScreens,
  readPane,
  type Screen,
  type Survey,
  type SurveyRequest,
  survey,
} from "./screens.js";
import { focusPane, hasSession, killSession, movePane, openSession, renameSession, renameWindow } from "./windows.js";

/** One tmux server, as mu uses it. Panes are `%7`, windows `@3`; sessions go by name. */
export interface Tmux {
  run: Run;
  listPanes(): Promise<Pane[]>;
  survey(request: SurveyRequest): Promise<Survey>;
  askPane(pane: string): Promise<PaneIdentityFacts | undefined>;
  captureScreens(panes: readonly string[], options?: CaptureOptions): Promise<Map<string, Screen>>;
  readPane(pane: string, lines: number): Promise<string[]>;
  openPane(spec: OpenPane): Promise<OpenedPane>;
  confirmPane(pane: string): Promise<Death | undefined>;
  holdPane(pane: string): Promise<void>;
  killPane(pane: string): Promise<void>;
  hasSession(session: string): Promise<boolean>;
  openSession(session: string, cwd: string): Promise<boolean>;
  renameSession(from: string, to: string): Promise<boolean>;
  killSession(session: string): Promise<void>;
  paste(what: Paste): Promise<void>;
  sendKeys(what: Keys): Promise<void>;
  setPaneIdentity(pane: string, identity: PaneIdentity): Promise<void>;
  setPaneLabels(labels: readonly PaneLabels[]): Promise<void>;
  setPaneBorders(target: string, state: "on" | "off"): Promise<void>;
  renameWindow(target: string, name: string): Promise<void>;
  focusPane(pane: string): Promise<void>;
  movePane(pane: string, to: { session: string; window: string }): Promise<void>;
  pipePane(pane: string, shellCommand: string): Promise<void>;
  attachCommand(session: string, pane?: string): Promise<AttachCommand>;
  probe(): Promise<Probe>;
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
  return {
    run,
    listPanes: () => listPanes(run),
    survey: (request) => survey(run, request),
    askPane: (pane) => askPane(run, pane),
    captureScreens: (panes, options) => captureScreens(run, panes, options),
    readPane: (pane, lines) => readPane(run, pane, lines),
    openPane: (spec) => openPane(run, spec).catch((error) => explainByAge(run, error)),
    confirmPane: (pane) => confirmPane(run, pane),
    holdPane: (pane) => holdPane(run, pane),
    killPane: (pane) => killPane(run, pane),
    hasSession: (session) => hasSession(run, session),
    openSession: (session, cwd) => openSession(run, session, cwd),
    renameSession: (from, to) => renameSession(run, from, to),
    killSession: (session) => killSession(run, session),
    paste: (what) => paste(run, what),
    sendKeys: (what) => sendKeys(run, what),
    setPaneIdentity: (pane, identity) => setPaneIdentity(run, pane, identity),
    setPaneLabels: (labels) => setPaneLabels(run, labels),
    setPaneBorders: (target, state) => setPaneBorders(run, target, state),
    renameWindow: (target, name) => renameWindow(run, target, name),
    focusPane: (pane) => focusPane(run, pane),
    movePane: (pane, to) => movePane(run, pane, to),
    pipePane: (pane, shellCommand) => pipePane(run, pane, shellCommand),
    attachCommand: (session, pane) => attachCommand(run, env, pane ?? `=${session}:`),
    probe: () => probe({ exec, env, run }),
  };
}

/** What an old tmux refuses, it refuses because it is old. */
async function explainByAge(run: Run, error: unknown): Promise<never> {
  await requireSupported(run).catch((reason) => {
    if (reason instanceof Fault && reason.code === "tmux.too_old") throw reason;
  });
  throw error;
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

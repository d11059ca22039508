import { Fault } from "../errors.js";
import {
  borderCommands,
  identityCommands,
  type Layout,
  type PaneIdentity,
  pipeCommand,
  windowBase,
} from "./appearance.js";
import { listPanes, type ServerId } from "./panes.js";
import { checkVersion } from "./probe.js";
import {
  type Answer,
  type Command,
  formatText,
  isTargetGone,
  quoteCommands,
  type Run,
  refused,
  runUnlessGone,
  uniqueWord,
} from "./run.js";
import { lastLines } from "./screens.js";
import { PLACEHOLDER_WINDOW, variables } from "./windows.js";

export interface OpenPane {
  /** Created if it does not exist. */
  session: string;
  window: string;
  /** Put the pane beside the others in the window of that name, instead of into a window of its own. */
  shared?: boolean;
  /** Of a shared window; `tiled` without it. */
  layout?: Layout;
  /** Absolute. When it does not exist, the pane dies and says so. */
  cwd: string;
  /** The program and its arguments, passed on verbatim. */
  argv: readonly [string, ...string[]];
  env?: Readonly<Record<string, string>>;
  /** For every pane of a session that is created for it. */
  sessionEnv?: Readonly<Record<string, string>>;
  /** Columns and rows of the session's windows while nobody is attached. */
  size?: { width: number; height: number };
  identity?: PaneIdentity;
  /**
   * A shell command that receives everything the pane prints, from the first byte. Without one, tmux 3.3a loses the
   * last output of 5 % of the programs that exit right after printing it.
   */
  pipe?: string;
  /** Whether the window's panes have borders that name their agents; unchanged without it. */
  borders?: "on" | "off";
}

export interface OpenedPane {
  pane: string;
  window: string;
  server: ServerId;
  /** The path of the server's socket. */
  socket: string;
  /** First process of the pane. */
  pid: number;
}

/** How a program ended before its pane was confirmed. `status` and `signal` are unknown when the pane is gone. */
export interface Death {
  status?: number;
  signal?: string;
  /** The last rows it printed, at most 50. */
  lines: string[];
}

/** Rows of scrollback. */
const HISTORY_LIMIT = 10_000;
const ATTEMPTS = 10;
/**
 * tmux learns the exit status of a dead pane late; tmux 3.3a may learn it only when another child exits, so one is run
 * between two looks.
 */
const STATUS_LOOKS = 5;
/** Keeps the pane open until it is set up, and exits by itself, so that a crash in between leaves no pane. */
const PLACEHOLDER = ["sleep", "60"];
/**
 * Shows an error in the pane; tmux alone would run the program in $HOME or end silently. The pause lets tmux read that
 * error (see `pipe`); a program that starts replaces the shell.
 */
const START = 'trap "sleep 0.05" EXIT; cd -- "$0" && exec "$@"';

/**
 * Opens a pane and starts `argv` in it. The pane is set up first (identity, pipe, scrollback), then its program
 * replaces a placeholder, so that nothing it prints is missed. A program that dies leaves its pane and its last lines
 * until `confirmPane`. Safe to call from many processes at once for one session. A pane in a window of its own takes
 * one tmux call; the first pane of a session takes one more.
 * Faults: `pane.no_space`, `tmux.command_too_long`, `tmux.too_old`, `tmux.failed`.
 */
export async function openPane(run: Run, spec: OpenPane): Promise<OpenedPane> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const opened = spec.shared ? await openShared(run, spec) : await openOwn(run, spec);
    if (opened !== undefined) return opened;
  }
  throw refused(`open a pane for ${spec.window}`, `session ${spec.session} keeps appearing and disappearing`);
}

/**
 * Confirms a new pane: undefined if its program is alive, and from now on the pane closes with it; else how it died,
 * and the pane is removed. Faults: `tmux.failed`.
 */
export async function confirmPane(run: Run, pane: string): Promise<Death | undefined> {
  for (let look = 1; ; look++) {
    const death = await tryPane(run, pane);
    if (death === undefined) return undefined;
    if (death.status !== undefined || death.signal !== undefined || look === STATUS_LOOKS) {
      await killPane(run, pane);
      return death;
    }
    await run([["run-shell", "true"]]);
  }
}

/** Keeps the pane when its program ends. A no-op if the pane does not exist. */
export async function holdPane(run: Run, pane: string): Promise<void> {
  const hold = ["set-option", "-p", "-t", pane, "remain-on-exit", "on"];
  await runUnlessGone(run, { what: `hold pane ${pane}` }, [hold]);
}

/** A no-op if it does not exist. */
export async function killPane(run: Run, pane: string): Promise<void> {
  await runUnlessGone(run, { what: `close pane ${pane}` }, [["kill-pane", "-t", pane]]);
}

async function tryPane(run: Run, pane: string): Promise<Death | undefined> {
  const mark = uniqueWord();
  const living = quoteCommands([["set-option", "-p", "-t", pane, "remain-on-exit", "off"]]);
  const dead = quoteCommands([
    ["display-message", "-p", "-t", pane, `${mark} #{pane_dead_status} #{pane_dead_signal}`],
    ["capture-pane", "-p", "-S", "-50", "-t", pane],
  ]);
  const check = ["if-shell", "-F", "-t", pane, `#{==:#{pane_id} #{pane_dead},${pane} 0}`, living, dead];
  const printed = await runUnlessGone(run, { what: `confirm pane ${pane}` }, [check]);
  if (printed === undefined) return { lines: [] };
  if (!printed.startsWith(mark)) return undefined;
  const [facts = "", ...lines] = printed.split("\n");
  const [, status, signal] = facts.split(" ");
  return { ...(status && { status: Number(status) }), ...(signal && { signal }), lines: lastLines(lines, 50) };
}

/** A pane in a new window, set up and started; undefined if another process won a race: try again. */
async function openOwn(run: Run, spec: OpenPane): Promise<OpenedPane | undefined> {
  const last = `=${spec.session}:$`;
  const added = await start(run, spec, [...windowInSession(spec), ...startCommands(last, spec)]);
  if (added !== undefined) return added;
  return start(run, spec, [...newSession(spec), ...startCommands(`=${spec.session}:^`, spec)]);
}

/** Runs commands that print a new pane's id and then its facts. A pane that could not be set up is closed. */
async function start(run: Run, spec: OpenPane, commands: readonly Command[]): Promise<OpenedPane | undefined> {
  const answer = await run(commands);
  const [made = "", facts = ""] = answer.stdout.split("\n");
  const [pane, pid, window, server, version, ...socket] = facts.split(" ");
  if (answer.refusal === undefined && pane && pane === made && pid && window && server) {
    return confirmVersion(run, { pane, window, server, socket: socket.join(" "), pid: Number(pid) }, version);
  }
  if (/^%\d+$/.test(made)) await killPane(run, made);
  else if (hasLostRace(answer)) return undefined;
  throw refused(`open a pane for ${spec.window}`, answer.refusal ?? "nothing");
}

async function confirmVersion(run: Run, opened: OpenedPane, version: string | undefined): Promise<OpenedPane> {
  try {
    checkVersion(`tmux ${version ?? ""}`);
    return opened;
  } catch (error) {
    await killPane(run, opened.pane);
    throw error;
  }
}

async function openShared(run: Run, spec: OpenPane): Promise<OpenedPane | undefined> {
  const pane = await placeShared(run, spec);
  if (pane === undefined) return undefined;
  const made = ["display-message", "-p", "-t", pane, "#{pane_id}"];
  try {
    return await start(run, spec, [made, ...startCommands(pane, spec)]);
  } catch (error) {
    await killPane(run, pane);
    throw error;
  }
}

async function placeShared(run: Run, spec: OpenPane): Promise<string | undefined> {
  const window = await findWindow(run, spec);
  if (window !== undefined) return splitWindow(run, window, spec);
  const pane = await placeOwn(run, spec);
  return pane === undefined ? undefined : joinOldest(run, pane, spec);
}

/** A placeholder in a new window; undefined if another process won a race: try again. */
async function placeOwn(run: Run, spec: OpenPane): Promise<string | undefined> {
  const added = await run(windowInSession(spec));
  if (added.refusal === undefined) return added.stdout.trim();
  if (!hasLostRace(added)) throw refused(`open a window in session ${spec.session}`, added.refusal);
  const created = await run(newSession(spec));
  if (created.refusal === undefined) return created.stdout.trim();
  if (!hasLostRace(created)) throw refused(`create session ${spec.session}`, created.refusal);
  return undefined;
}

/** If two processes created the shared window, the oldest stays and the panes of the others move into it. */
async function joinOldest(run: Run, pane: string, spec: OpenPane): Promise<string | undefined> {
  const oldest = await findWindow(run, spec);
  const own = (await listPanes(run)).find((other) => other.id === pane)?.window;
  if (oldest === undefined || own === undefined) return undefined;
  if (oldest === own) return pane;
  const joined = await run([...tile(oldest), ["join-pane", "-d", "-s", pane, "-t", oldest], ...arrange(oldest, spec)]);
  if (joined.refusal === undefined) return pane;
  await killPane(run, pane);
  return retryOrFail(joined, spec);
}

async function splitWindow(run: Run, window: string, spec: OpenPane): Promise<string | undefined> {
  const split = ["split-window", "-d", "-P", "-F", "#{pane_id}", "-t", window, "--", ...PLACEHOLDER];
  const answer = await run([historyOption(spec), ...tile(window), split, ...arrange(window, spec)]);
  return answer.refusal === undefined ? answer.stdout.trim() : retryOrFail(answer, spec);
}

function retryOrFail(answer: Answer, spec: OpenPane): undefined {
  if (hasLostRace(answer)) return undefined;
  if (/no space|too small/.test(answer.refusal ?? "")) throw noSpace(spec);
  throw refused(`open a pane in window ${spec.window}`, answer.refusal ?? "");
}

async function findWindow(run: Run, { session, window }: OpenPane): Promise<string | undefined> {
  const panes = await listPanes(run);
  const number = (id: string) => Number(id.slice(1));
  return panes
    .filter((pane) => pane.session === session && windowBase(pane.windowName) === window)
    .map((pane) => pane.window)
    .sort((a, b) => number(a) - number(b))[0];
}

function hasLostRace({ refusal }: Answer): boolean {
  return isTargetGone(refusal) || /^duplicate session/.test(refusal ?? "");
}

/** After all other windows, so that the commands after it find it as the session's last. */
function windowInSession(spec: OpenPane): Command[] {
  return [historyOption(spec), ...sizeOption(spec), newWindow(spec, ["-a", "-t", `=${spec.session}:$`])];
}

/** A pane keeps the scrollback limit it was created with, so the first one is recreated once the limit is set. */
function newSession(spec: OpenPane): Command[] {
  const size = spec.size ? ["-x", `${spec.size.width}`, "-y", `${spec.size.height}`] : [];
  const first = ["-c", formatText(spec.cwd), ...size, ...variables(spec.sessionEnv), "--", ...PLACEHOLDER];
  return [
    ["new-session", "-d", "-s", spec.session, ...first],
    ["set-option", "-t", `=${spec.session}:`, "destroy-unattached", "off"],
    historyOption(spec),
    newWindow(spec, ["-k", "-t", `=${spec.session}:^`]),
  ];
}

function newWindow(spec: OpenPane, where: readonly string[]): Command {
  const name = formatText(spec.window);
  const cwd = formatText(spec.cwd);
  return ["new-window", "-d", "-P", "-F", "#{pane_id}", ...where, "-n", name, "-c", cwd, "--", ...PLACEHOLDER];
}

function historyOption(spec: OpenPane): Command {
  return ["set-option", "-t", `=${spec.session}:`, "history-limit", `${HISTORY_LIMIT}`];
}

function sizeOption({ session, size }: OpenPane): Command[] {
  return size ? [["set-option", "-t", `=${session}:`, "default-size", `${size.width}x${size.height}`]] : [];
}

/** Equal shares, so that there is room for one more pane. */
function tile(window: string): Command[] {
  return [["select-layout", "-t", window, "tiled"]];
}

function arrange(window: string, spec: OpenPane): Command[] {
  return [["select-layout", "-t", window, spec.layout ?? "tiled"]];
}

/** `target` names the pane, or the window whose only pane it is. */
function startCommands(target: string, spec: OpenPane): Command[] {
  const facts = "#{pane_id} #{pane_pid} #{window_id} #{pid}@#{start_time} #{version} #{socket_path}";
  return [...setupCommands(target, spec), ["display-message", "-p", "-t", target, facts]];
}

function setupCommands(pane: string, spec: OpenPane): Command[] {
  const env = variables(spec.env);
  const argv = ["/bin/sh", "-c", START, spec.cwd, ...spec.argv];
  return [
    ["set-option", "-p", "-t", pane, "remain-on-exit", "on"],
    ["set-option", "-p", "-q", "-t", pane, "remain-on-exit-format", ""],
    ["set-option", "-w", "-t", pane, "automatic-rename", "off"],
    ["set-option", "-w", "-t", pane, "allow-rename", "off"],
    ...(spec.identity ? identityCommands(pane, spec.identity) : []),
    ...(spec.pipe !== undefined ? [pipeCommand(pane, spec.pipe)] : []),
    ...(spec.borders !== undefined ? borderCommands(pane, spec.borders) : []),
    leavePlaceholder(pane, spec),
    ["respawn-pane", "-k", "-t", pane, "-c", formatText(spec.cwd), ...env, "--", ...argv],
  ];
}

/** A session that shows nothing but its placeholder shows the new window instead. */
function leavePlaceholder(target: string, { session }: OpenPane): Command {
  const select = quoteCommands([["select-window", "-t", target]]);
  return ["if-shell", "-F", "-t", `=${session}:`, `#{==:#{window_name},${PLACEHOLDER_WINDOW}}`, select];
}

function noSpace(spec: OpenPane): Fault {
  return new Fault("conflict", "pane.no_space", `Window ${spec.window} has no room for another pane.`, [
    { intent: "Open it in a window of its own", command: "mu agent spawn <agent>" },
  ]);
}

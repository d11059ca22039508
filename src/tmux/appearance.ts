import {
  type Command,
  formatText,
  inCalls,
  isServerGone,
  quoteCommands,
  type Run,
  runOrFail,
  runUnlessGone,
} from "./run.js";

export const LAYOUTS = ["even-horizontal", "even-vertical", "main-vertical", "main-horizontal", "tiled"] as const;
export type Layout = (typeof LAYOUTS)[number];

/** The agent of a pane, stored where programs cannot overwrite it; the title is for people. */
export interface PaneIdentity {
  agent: string;
  agentId: string;
  /** When the incarnation was reserved, as its row has it. */
  spawnedAt?: string;
  /** The agent's name without it. */
  title?: string;
}

/** What a pane's border says beside the agent's name. An empty text removes it. */
export interface PaneLabels {
  pane: string;
  status?: string;
  task?: string;
  title?: string;
  /** The name of its window. */
  window?: string;
  /** What the status line of its session says of those who wait for a person. */
  waiting?: string;
}

/** The part of a status line that says who waits for a person in its session. */
const WAITING = "#{?@mu_waiting,#[reverse] #{@mu_waiting} #[default],}";
/** The same for all sessions of a server. */
export const ALL_WAITING = `#{S:${WAITING}}`;
/** tmux cuts a longer right part of a status line; its own default is 40. */
const STATUS_LENGTH = "120";

/** Behind the name of a window in which somebody waits for a person, such as `bob ?` or `crew ? amy, bob`. */
const WAITING_MARK = / \?(?: .*)?$/;

/** A window's name without the mark of those who wait. */
export function windowBase(name: string): string {
  return name.replace(WAITING_MARK, "");
}

/** A window's name with the mark of those who wait in it. */
export function markedWindow(name: string, waiting: readonly string[]): string {
  const base = windowBase(name);
  const others = waiting.length === 1 && waiting[0] === base ? [] : waiting;
  return waiting.length === 0 ? base : [base, "?", others.join(", ")].join(" ").trimEnd();
}

const BORDER = " #{?@mu_agent,#{@mu_agent},#{pane_title}}#{?@mu_status, · #{@mu_status},}#{?@mu_task, · #{@mu_task},} ";

/** Faults: `pane.not_found`. */
export async function setPaneIdentity(run: Run, pane: string, identity: PaneIdentity): Promise<void> {
  await runOrFail(run, { what: `name pane ${pane}`, pane }, identityCommands(pane, identity));
}

/** Labels of many panes in one call; panes that do not exist are skipped. Faults: `tmux.failed`. */
export async function setPaneLabels(run: Run, labels: readonly PaneLabels[]): Promise<void> {
  const commandsOf = (label: PaneLabels) => [labelCommand(label)];
  for (const call of inCalls(labels, commandsOf)) {
    await runUnlessGone(run, { what: "label the panes", isGone: isServerGone }, call.flatMap(commandsOf));
  }
}

/** `target` is a window (`@3`) or a pane of it. Faults: `pane.not_found`. */
export async function setPaneBorders(run: Run, target: string, state: "on" | "off"): Promise<void> {
  await runOrFail(run, { what: `draw the borders of ${target}`, pane: target }, borderCommands(target, state));
}

/** Pipes everything the pane prints to `shellCommand`, in place of an earlier pipe. Faults: `pane.not_found`. */
export async function pipePane(run: Run, pane: string, shellCommand: string): Promise<void> {
  await runOrFail(run, { what: `record pane ${pane}`, pane }, [pipeCommand(pane, shellCommand)]);
}

export function borderCommands(target: string, state: "on" | "off"): Command[] {
  const option = (name: string, value: string) => ["set-option", "-w", "-t", target, name, value];
  return [option("pane-border-format", BORDER), option("pane-border-status", state === "on" ? "top" : "off")];
}

export function identityCommands(pane: string, { agent, agentId, spawnedAt, title }: PaneIdentity): Command[] {
  return [
    ["set-option", "-p", "-t", pane, "@mu_agent", agent],
    ["set-option", "-p", "-t", pane, "@mu_agent_id", agentId],
    ...(spawnedAt === undefined ? [] : [["set-option", "-p", "-t", pane, "@mu_spawned_at", spawnedAt]]),
    ["select-pane", "-t", pane, "-T", formatText(title ?? agent)],
  ];
}

/** tmux expands its formats and then the clock's in the command, before sh sees it. */
export function pipeCommand(pane: string, shellCommand: string): Command {
  return ["pipe-pane", "-O", "-t", pane, formatText(shellCommand).replaceAll("%", "%%")];
}

export function labelCommand({ pane, status, task, title, window, waiting }: PaneLabels): Command {
  const options = [
    ["@mu_status", status],
    ["@mu_task", task],
  ].flatMap(([name = "", value]) => (value === undefined ? [] : [["set-option", "-p", "-t", pane, name, value]]));
  if (title !== undefined) options.push(["select-pane", "-t", pane, "-T", formatText(title)]);
  if (window !== undefined) options.push(["rename-window", "-t", pane, formatText(window)]);
  if (waiting !== undefined) options.push(...waitingCommands(pane, waiting));
  return ["if-shell", "-F", "-t", pane, `#{==:#{pane_id},${pane}}`, quoteCommands(options)];
}

/** A status line that shows it already, by the user's own settings, stays as it is; else the session's gets one part more. */
function waitingCommands(pane: string, waiting: string): string[][] {
  const add = quoteCommands([
    // Appending would begin with an empty text: a session has none of its own, only the user's global one.
    ["set-option", "-F", "-t", pane, "status-right", `#{status-right} ${WAITING.replaceAll("#", "##")}`],
    ["set-option", "-t", pane, "status-right-length", STATUS_LENGTH],
  ]);
  return [
    ["set-option", "-t", pane, "@mu_waiting", waiting],
    ["if-shell", "-F", "-t", pane, "#{m:*@mu_waiting*,#{status-right}}", "", add],
  ];
}

import type { Exec } from "../exec.js";
import { type Command, createRun, type Environment, isServerGone, type Run, runUnlessGone, uniqueWord } from "./run.js";

/**
 * Which tmux server: `<pid>@<start, epoch seconds>`. Pane ids start again at %0 with every server, so a pane is
 * ours only where this is the same as when it was opened.
 */
export type ServerId = string;

export interface Pane {
  /** `%7`; unique on one server and never used twice by it. */
  id: string;
  server: ServerId;
  /** A pane of a window that is linked into several sessions is listed once for each of them. */
  session: string;
  /** `@3`. */
  window: string;
  windowName: string;
  title: string;
  /** When its incarnation was reserved: two databases may both have an agent of one name and id. */
  spawnedAt?: string;
  /** Name of the program in the foreground. */
  command: string;
  /** The command line that the pane was started with, as tmux prints it. */
  startCommand: string;
  /** The first process of the pane; it leads the pane's process session. */
  pid: number;
  tty: string;
  /** The program has ended and the pane stays for its last lines to be read. */
  dead: boolean;
  /** From the upper left corner, 0 first. */
  cursorX: number;
  cursorY: number;
  width: number;
  height: number;
  /** A full-screen program is drawing. */
  alternate: boolean;
  /** A person is scrolling, or another tmux mode covers the pane and eats its input. */
  inMode: boolean;
  agent?: string;
  agentId?: string;
  /** What the pane's border shows of its agent. */
  labels: { status: string; task: string };
  /** Rows of scrollback above the screen: with `cursorY`, where the cursor is in all that the pane printed. */
  historySize: number;
  /** Last output in the pane's window; whole seconds. */
  activityAt: Date;
}

const FIELDS = [
  "pane_id",
  "pid",
  "start_time",
  "session_name",
  "window_id",
  "window_name",
  "pane_title",
  "@mu_spawned_at",
  "pane_current_command",
  "pane_start_command",
  "pane_pid",
  "pane_tty",
  "pane_dead",
  "cursor_x",
  "cursor_y",
  "pane_width",
  "pane_height",
  "alternate_on",
  "pane_in_mode",
  "@mu_agent",
  "@mu_agent_id",
  "@mu_status",
  "@mu_task",
  "history_size",
  "window_activity",
] as const;

/** All panes of all sessions in one call; no server means no panes. Faults: `tmux.failed`. */
export async function listPanes(run: Run): Promise<Pane[]> {
  const listing = paneListing();
  const printed = await runUnlessGone(run, { what: "list the panes", isGone: isServerGone }, [listing.command]);
  return printed === undefined ? [] : listing.parse(printed);
}

/** The command that lists all panes, and how to read what it prints. */
export function paneListing(): { command: Command; parse(stdout: string): Pane[] } {
  const record = uniqueWord();
  const field = uniqueWord();
  const format = record + FIELDS.map((name) => `#{${name}}`).join(field);
  const rows = (stdout: string) => stdout.split(record).slice(1);
  return {
    command: ["list-panes", "-a", "-F", format],
    parse: (stdout) => rows(stdout).map((row) => parsePane(row.replace(/\n$/, "").split(field))),
  };
}

/** The running server, or undefined when none runs. */
export async function findServer(run: Run): Promise<ServerId | undefined> {
  const list = ["list-sessions", "-F", "#{pid}@#{start_time}"];
  const printed = await runUnlessGone(run, { what: "identify the server", isGone: isServerGone }, [list]);
  return printed?.split("\n")[0] || undefined;
}

export function serverPid(server: ServerId): number {
  return Number.parseInt(server, 10);
}

/** When the server started, in ms since the epoch; tmux counts whole seconds. */
export function serverStart(server: ServerId): number {
  return Number(server.slice(server.indexOf("@") + 1)) * 1000;
}

/** The pane of the calling process, by its environment alone; undefined outside tmux. */
export function callerPane(env: Environment): { pane: string; serverPid: number; socket: string } | undefined {
  const [, socket, pid] = /^(.*),(\d+),\d*$/.exec(env.TMUX ?? "") ?? [];
  const pane = env.TMUX_PANE ?? "";
  if (socket === undefined || !/^%\d+$/.test(pane)) return undefined;
  return { pane, serverPid: Number(pid), socket };
}

function parsePane(values: readonly string[]): Pane {
  const text = (name: (typeof FIELDS)[number]) => values[FIELDS.indexOf(name)] ?? "";
  const number = (name: (typeof FIELDS)[number]) => Number(text(name));
  const flag = (name: (typeof FIELDS)[number]) => number(name) > 0;
  return {
    id: text("pane_id"),
    server: `${text("pid")}@${text("start_time")}`,
    session: text("session_name"),
    window: text("window_id"),
    windowName: text("window_name"),
    title: text("pane_title"),
    ...(text("@mu_spawned_at") !== "" && { spawnedAt: text("@mu_spawned_at") }),
    command: text("pane_current_command"),
    startCommand: text("pane_start_command"),
    pid: number("pane_pid"),
    tty: text("pane_tty"),
    dead: flag("pane_dead"),
    cursorX: number("cursor_x"),
    cursorY: number("cursor_y"),
    width: number("pane_width"),
    height: number("pane_height"),
    alternate: flag("alternate_on"),
    inMode: flag("pane_in_mode"),
    ...(text("@mu_agent") !== "" && { agent: text("@mu_agent") }),
    ...(text("@mu_agent_id") !== "" && { agentId: text("@mu_agent_id") }),
    labels: { status: text("@mu_status"), task: text("@mu_task") },
    historySize: number("history_size"),
    activityAt: new Date(number("window_activity") * 1000),
  };
}

/** Which agent a pane belongs to. `agent` and `agentId` are what mu stored; any program may set the title. */
export interface PaneIdentityFacts {
  pane: string;
  server: ServerId;
  session: string;
  title: string;
  agent: string;
  agentId: string;
}

const IDENTITY_FIELDS = ["pane_id", "#{pid}@#{start_time}", "session_name", "pane_title", "@mu_agent", "@mu_agent_id"];

/** Which agent one pane belongs to; undefined if the pane does not exist. Faults: `tmux.failed`, `tmux.unreachable`. */
export async function askPane(run: Run, pane: string): Promise<PaneIdentityFacts | undefined> {
  const mark = uniqueWord();
  const format = IDENTITY_FIELDS.map((name) => (name.startsWith("#") ? name : `#{${name}}`)).join(mark);
  const ask = ["display-message", "-p", "-t", pane, format];
  const printed = (await runUnlessGone(run, { what: `identify pane ${pane}` }, [ask])) ?? "";
  const [found, server = "", session = "", title = "", agent = "", agentId = ""] = printed
    .replace(/\n$/, "")
    .split(mark);
  return found === pane ? { pane, server, session, title, agent, agentId } : undefined;
}

/** As `askPane`, on the caller's own server whatever `MU_TMUX_SOCKET` says: `$TMUX_PANE` is a pane of it. */
export function askOwnServer({ exec, env }: { exec: Exec; env: Environment }) {
  const socket = callerPane(env)?.socket;
  const run = createRun({ exec, env: { ...env, MU_TMUX_SOCKET: socket } });
  return (pane: string) => askPane(run, pane);
}

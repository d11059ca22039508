import { Fault } from "../../errors.js";

/** Marks everything that mu installs; the number is the version of the installed form. */
export const HOOK_MARK = "mu-hooks 1";
/** What all versions of the mark begin with. */
export const HOOK_MARK_STEM = "mu-hooks ";

/** `outdated`: installed by another version of mu, or only in part. */
export type HookState = "installed" | "outdated" | "absent";

/** For whom hooks are installed to stay: every session of the user, or every session in a project's folder. */
export type HookScope = { scope: "user" } | { scope: "project"; project: string };

/** Where a CLI keeps its files. `env` is the user's environment: some CLIs are moved by a variable. */
export interface HookPlace {
  home: string;
  env?: Readonly<Record<string, string | undefined>>;
}

/** How a lasting install changes the text of its file; undefined is a file that is not there. All three are pure. */
export interface TextEdit {
  add(text: string | undefined, path: string): string;
  strip(text: string | undefined, path: string): string | undefined;
  inspect(text: string | undefined, path: string): HookState;
}

/** What mu installs for one CLI. */
export interface HookKit {
  /** The file that `LaunchOptions.eventsFile` names. It is the same for all agents: who asks is in the environment. */
  agentFile: { name: string; text: string; executable?: true };
  /** A file that must be there before the CLI can load `agentFile`. */
  needs?(place: HookPlace): string;
  /** The install that stays; a CLI without it gets its hooks only when an agent is started. */
  lasting?: {
    /** Its file in a project's folder. */
    project: string;
    /** Its file for all sessions of the user. */
    user(place: HookPlace): string;
    edit: TextEdit;
  };
}

/** A file that is mu's alone, known by its mark. */
export function ownFile(content: string): TextEdit {
  return {
    add: (text, path) => {
      if (text === undefined || isOurs(text)) return content;
      throw new Fault("conflict", "hooks.file_taken", `${path} already exists and is not mu's. Move it away first.`);
    },
    strip: (text) => (text !== undefined && isOurs(text) ? undefined : text),
    inspect: (text) => {
      if (text === undefined || !isOurs(text)) return "absent";
      return text === content ? "installed" : "outdated";
    },
  };
}

function isOurs(text: string): boolean {
  return text.slice(0, 200).includes(HOOK_MARK_STEM);
}

/** The first line of a JavaScript file of mu. */
export const OWN_FILE_HEADER = `// ${HOOK_MARK}: tells mu what this agent does. Written by mu and removed by "mu hooks uninstall".`;

/**
 * The hook: one line of POSIX sh that appends the JSON on its standard input to the caller's spool and exits 0,
 * whatever happens. Outside a mu pane, or where mu keeps no spool, it does nothing. `dd` collects the whole record
 * and writes it with a single `write` to a file opened for appending, which a local file system does atomically at
 * any size; a shell's own `printf` and `cat` write in pieces, which concurrent hooks would mix. Line breaks between
 * JSON tokens become blanks (inside JSON strings they are escaped anyway). With a `status`, a pane whose border says
 * something else is brought up to date in the background.
 */
export function hookLine(event: string, status?: string): string {
  const record = `{ printf '\\036%s ${event} ' "\${EPOCHREALTIME:-$(date +%s.%N)}"; LC_ALL=C tr '\\n\\r' '  '; echo; }`;
  const write = `dd ibs=65536 obs=${MAX_RECORD} 2>/dev/null >>"$d/$MU_AGENT_ID"`;
  return [
    `: ${HOOK_MARK}`,
    `umask 077`,
    `d=\${MU_STATE_DIR:-\${XDG_STATE_HOME:-$HOME/.local/state}/mu}/spool`,
    `case \${MU_AGENT_ID:-} in ''|*[!A-Za-z0-9_-]*) ;; *) [ -d "$d" ] && ${record} 2>/dev/null | ${write};; esac`,
    ...(status === undefined ? [] : [refreshUnless(status)]),
    `exit 0`,
  ].join("; ");
}

/** Brings what tmux shows of the agents up to date, and tells people of new questions. */
const REFRESH_COMMAND = "mu agent refresh";

/** Asking tmux costs a few ms, mu a few hundred: tools come and go, and the border says busy all the while. */
function refreshUnless(status: string): string {
  const isOld = `[ "$(tmux show-options -pqvt "$TMUX_PANE" @mu_status 2>/dev/null)" != ${status} ]`;
  const refresh = `(nohup ${REFRESH_COMMAND} </dev/null >/dev/null 2>&1 &)`;
  return `[ -n "\${MU_AGENT_ID:-}" ] && [ -n "\${TMUX_PANE:-}" ] && ${isOld} && command -v mu >/dev/null 2>&1 && ${refresh}`;
}

/** A record up to this size (bytes) is one write; a larger one may be torn, and is then skipped. */
const MAX_RECORD = 16 * 1024 * 1024;

/** What is added to a new or compacted conversation: who it is, its task, what to do next. */
export const PRIME_COMMAND = "mu prime";

/**
 * What is asked at the end of a turn: prints `{"decision":"block","reason":<the next prompt>}` when a delivery waits,
 * else nothing. It reads the hook's JSON on its standard input: only the agent's own conversation (`session_id`) gets
 * prompts.
 */
export const DRAIN_COMMAND = "mu delivery drain --hook";

/** The only hooks that run mu. Outside a mu pane, or where mu is not in the PATH, they do nothing and succeed. */
export function muLine(command: string): string {
  const here = `[ -n "\${MU_AGENT_ID:-}" ] && command -v mu >/dev/null 2>&1`;
  return `: ${HOOK_MARK}; ${here} && ${command} 2>/dev/null; exit 0`;
}

/**
 * JavaScript for extensions that run inside an agent CLI: `openSpool()` gives a function that appends an event to the
 * pane's spool, or undefined where there is none. A CLI that the agent started in its own shell tool inherits the
 * environment, and the id of the process that reports with it: it reports nothing. Events of a new status also bring
 * up to date what tmux shows.
 */
export const SPOOL_SCRIPT = `import { spawn } from "node:child_process";
import { appendFileSync, existsSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

function openSpool() {
  const { MU_AGENT_ID: id = "", MU_STATE_DIR, XDG_STATE_HOME } = process.env;
  if (!/^[A-Za-z0-9_-]+$/.test(id)) return undefined;
  const reporter = \`\${id}:\${process.pid}\`;
  const inherited = process.env.MU_REPORTER;
  if (inherited?.startsWith(\`\${id}:\`) && inherited !== reporter) return undefined;
  process.env.MU_REPORTER = reporter;
  const file = join(MU_STATE_DIR || join(XDG_STATE_HOME || join(homedir(), ".local", "state"), "mu"), "spool", id);
  let timer;
  const refresh = () => {
    try {
      const [program, ...args] = ${JSON.stringify(REFRESH_COMMAND.split(" "))};
      const child = spawn(program, args, { stdio: "ignore", detached: true });
      child.on("error", () => undefined);
      child.unref();
    } catch {
      // no process can be started: the border is late
    }
  };
  const isNewStatus = /^(?:agent_start|agent_settled|ui_prompt_|chat|permission|question|session.(?:idle|error))/;
  return (event, payload) => {
    try {
      if (process.env.TMUX_PANE && isNewStatus.test(event)) {
        clearTimeout(timer);
        timer = setTimeout(refresh, 50);
        timer.unref?.();
      }
      if (!existsSync(dirname(file))) return;
      const at = (Date.now() / 1000).toFixed(3);
      appendFileSync(file, \`\\u001e\${at} \${event} \${JSON.stringify(payload)}\\n\`, { mode: 0o600 });
    } catch {
      // a full disk must not stop the agent
    }
  };
}
`;

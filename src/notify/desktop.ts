import type { Host } from "../host.js";

/** Writes to the terminal of the person who watches; absent where there is none. */
export type Terminal = ((text: string) => void) | undefined;

const TIMEOUT_MS = 5_000;

/** Rings the bell of the terminal; false if there is none. */
export function ring(terminal: Terminal): boolean {
  terminal?.("\x07");
  return terminal !== undefined;
}

/** Shows a notice on the desktop, by its own program or by the terminal; false where neither can. */
export async function showOnDesktop(
  { exec, env }: Host,
  { title, message }: { title: string; message: string },
  terminal: Terminal,
): Promise<boolean> {
  const [program, ...args] = commandOf(title, message, env);
  if (program !== undefined && (await exec(program, args, { env, timeoutMs: TIMEOUT_MS })).code === 0) return true;
  const sequence = terminal && sequenceOf(plain(title), plain(message), env);
  if (!sequence) return false;
  terminal?.(sequence);
  return true;
}

type Env = Host["env"];

function commandOf(title: string, message: string, env: Env): string[] {
  if (process.platform === "darwin") {
    const script = ["on run argv", "display notification (item 2 of argv) with title (item 1 of argv)", "end run"];
    return ["osascript", ...script.flatMap((line) => ["-e", line]), title, message];
  }
  const hasDesktop = env["DISPLAY"] || env["WAYLAND_DISPLAY"];
  return hasDesktop ? ["notify-send", "--app-name=mu", "--", title, message] : [];
}

/** OSC 9 and OSC 777, each where a terminal is known to have it: elsewhere it would be printed. */
function sequenceOf(title: string, message: string, env: Env): string | undefined {
  const hasOsc9 = /^(?:iTerm\.app|WezTerm|ghostty)$/.test(env["TERM_PROGRAM"] ?? "") || env["WT_SESSION"];
  if (hasOsc9 || env["KITTY_WINDOW_ID"]) return `\x1b]9;${title}: ${message}\x07`;
  return /^(?:foot|rxvt)/.test(env["TERM"] ?? "") ? `\x1b]777;notify;${title};${message}\x07` : undefined;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they would end the sequence
const plain = (text: string) => text.replace(/[\x00-\x1f\x7f-\x9f;]+/g, " ").slice(0, 200);

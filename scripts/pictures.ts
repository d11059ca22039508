// Records the demo, and mu top beside it, in a private tmux: a cast of each in docs/pictures, and a picture.
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { castOf, type Frame } from "../src/operations/cast.js";
import { drawFrame } from "./picture.js";

const SIZE = { columns: 100, rows: 30 };
/** Time between two looks, and the longest that a recording takes, in ms. */
const [EVERY, LONGEST] = [500, 180_000];
/** What is pressed in mu top so many seconds after it began: its views one after another. */
const KEYS: readonly (readonly [number, string])[] = [
  [11, "2"],
  [16, "3"],
  [20, "4"],
  [24, "7"],
  [27, "1"],
];

const folder = mkdtempSync(join(tmpdir(), "mu-pictures-"));
const program = fileURLToPath(new URL("../dist/main.cjs", import.meta.url));
const env = {
  ...{ PATH: process.env["PATH"], HOME: folder, TMPDIR: folder, TMUX_TMPDIR: folder, USER: "ann" },
  ...{ TERM: "xterm-256color", LANG: "C.UTF-8", SHELL: "/bin/sh" },
};
const run = promisify(execFile);
const tmux = async (...args: string[]) =>
  (await run("tmux", ["-L", "pictures", "-f", "/dev/null", ...args], { env })).stdout;

/** Starts a command in a session of its own, which stays when the command ends. */
async function show(session: string, command: string): Promise<void> {
  const size = ["-x", String(SIZE.columns), "-y", String(SIZE.rows)];
  const script = `sleep 0.2; ${command}; touch '${over(session)}'; sleep 100`;
  await tmux("new-session", "-d", "-s", session, ...size, script, ";", "set", "status", "off");
}

const over = (session: string) => join(folder, `${session}-is-over`);

async function frameOf(session: string, began: number): Promise<Frame> {
  const text = await tmux("capture-pane", "-p", "-e", "-t", session);
  return { at: (Date.now() - began) / 1000, lines: text.replace(/\n$/, "").split("\n") };
}

/** The frames of both sessions until the demo is over. */
async function record() {
  const node = `'${process.execPath}' '${program}'`;
  const began = Date.now();
  await show("demo", `${node} demo`);
  const frames: { demo: Frame[]; top: Frame[] } = { demo: [], top: [] };
  const keys = [...KEYS];
  let topBegan = 0;
  for (let isOver = false; !isOver && Date.now() - began < LONGEST; await pause(EVERY)) {
    isOver = existsSync(over("demo"));
    const now = await frameOf("demo", began);
    frames.demo.push(now);
    const socket = readdirSync(folder).find((name) => name.startsWith("mu-demo-"));
    if (topBegan === 0 && socket !== undefined && now.lines.some((line) => line.includes("is ready in its pane"))) {
      topBegan = Date.now();
      const stage = join(folder, socket, "stage");
      const own = `MU_STATE_DIR='${stage}' MU_DB_PATH='${stage}/mu.db' MU_TMUX_SOCKET=${socket}`;
      await show("top", `env -u TMUX -u TMUX_PANE ${own} ${node} top -w demo`);
    }
    if (topBegan === 0 || isOver) continue;
    frames.top.push(await frameOf("top", topBegan));
    if (keys[0] === undefined || Date.now() - topBegan < keys[0][0] * 1000) continue;
    await tmux("send-keys", "-t", "top", keys.shift()?.[1] ?? "");
  }
  return frames;
}

try {
  const { demo, top } = await record();
  const pictures = fileURLToPath(new URL("../docs/pictures/", import.meta.url));
  mkdirSync(pictures, { recursive: true });
  // Of mu top the moment when somebody asks something is the one to show.
  const asks = top.find(({ lines }) => lines.some((line) => line.includes("needs permission")));
  const shown = { demo: demo.at(-1), top: asks ?? top.at(-1) };
  for (const [name, frames] of Object.entries({ demo, top })) {
    writeFileSync(join(pictures, `${name}.cast`), castOf(frames, SIZE, `mu ${name}`));
    const { lines = [] } = shown[name as "demo" | "top"] ?? {};
    writeFileSync(join(pictures, `${name}.svg`), await drawFrame(lines, SIZE, `mu ${name}`));
  }
} finally {
  await tmux("kill-server").catch(() => {});
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
}

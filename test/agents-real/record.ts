/**
 * Records what the real agent CLIs show, as fixtures for the screen rules: `npx tsx test/agents-real/record.ts
 * <folder> [<cli> …] [--look <look>] [--size <w>x<h>] [--version <text>]` writes
 * `<folder>/<cli>/<version>-<look>-<size>/<nn>-<state>.{ansi,meta}`. The CLIs must be installed (`--all`). A state that a
 * CLI does not reach within half a minute is said and left out.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ALL_CLIS, type RealCli, versionOf } from "../../scripts/install-agent-clis.js";
import { pollUntil, systemClock } from "../../src/clock.js";
import type { ModelScript } from "../fake-model/script.js";
import { type FakeModel, startFakeModel } from "../fake-model/server.js";
import { endGroup, type PrivateTmux, startPrivateTmux } from "../support/private-tmux.js";
import {
  type AgentHome,
  DIALOGS,
  writeClaudeHome,
  writeCodexHome,
  writeGeminiHome,
  writeOpencodeHome,
  writePiHome,
} from "./homes.js";

/** How a terminal shows colours, as the CLIs find out. */
const LOOKS = {
  truecolor: { TERM: "tmux-256color", COLORTERM: "truecolor" },
  "256": { TERM: "tmux-256color", COLORTERM: "" },
  none: { TERM: "tmux-256color", COLORTERM: "", NO_COLOR: "1" },
  light: { TERM: "tmux-256color", COLORTERM: "truecolor", COLORFGBG: "0;15" },
} as const;
type Look = keyof typeof LOOKS;

const SIZES = ["80x24", "200x50"];

const script: ModelScript = {
  conversations: [
    { when: /PLEASE WAIT (\w+)/, turns: [({ captures }) => ({ text: LONG, hold: captures[1] ?? "" })] },
    {
      when: /PLEASE RUN (\w+)/,
      turns: [
        ({ captures }) => ({ text: "I run it.", shell: `touch ${captures[1]} && echo ${captures[1]}`, leaves: true }),
        ({ toolResult }) => ({ text: `It printed: ${toolResult}` }),
      ],
    },
    { when: /PLEASE FAIL/, turns: [{ error: { status: 400, message: "Your credit balance is too low (fake)" } }] },
  ],
  // Gemini asks a small model which model to ask.
  aside: { text: '{"title": "A shop", "reasoning": "It is simple.", "model_choice": "flash"}' },
};
const LONG = "I read the request, think about the ways to do it, and take the simplest one that can work at all.";

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { look: { type: "string" }, size: { type: "string" }, version: { type: "string" } },
});
const [target, ...wanted] = positionals;
if (target === undefined) throw new Error("Name the folder to write to.");
const clis = wanted.length > 0 ? (wanted as RealCli[]) : ALL_CLIS;
const looks = values.look === undefined ? (Object.keys(LOOKS) as Look[]) : [values.look as Look];
const sizes = values.size === undefined ? SIZES : [values.size];

const room = startPrivateTmux();
const model = await startFakeModel({ script });
interface Setting {
  cli: RealCli;
  look: Look;
  size: string;
}

async function record({ tmux, ...panes }: PrivateTmux, model: FakeModel, { cli, look, size }: Setting): Promise<void> {
  const name = `${values.version ?? versionOf(cli)}-${look}-${size}`;
  const home = writeHome(cli, join(panes.folder, `${cli}-${name}`), look);
  const [width = 80, height = 24] = size.split("x").map(Number);
  const pane = await panes.openPane(home.command, { ...process.env, ...home.env, ...LOOKS[look] } as never, {
    width,
    height,
  });
  const folder = join(target as string, cli, name);
  mkdirSync(folder, { recursive: true });
  let count = 0;

  const take = async (state: string) => {
    const ansi = await tmux(["capture-pane", "-e", "-p", "-t", pane]);
    const meta = await tmux(["display-message", "-p", "-t", pane, META]);
    const file = join(folder, `${String(count++).padStart(2, "0")}-${state}`);
    writeFileSync(`${file}.ansi`, ansi);
    writeFileSync(`${file}.meta`, meta);
    process.stdout.write(`${cli} ${name} ${state}\n`);
  };
  const state = async (what: string, reach: () => Promise<unknown>) => {
    try {
      await reach();
      await settled(() => panes.screen(pane));
      await take(what);
    } catch (error) {
      process.stdout.write(`${cli} ${name} ${what}: not reached: ${String(error).slice(0, 1500)}\n`);
    }
  };
  const submit = async (prompt: string) => {
    await panes.paste(pane, prompt);
    await settled(() => panes.screen(pane));
    await panes.keys(pane, "Enter");
  };
  const gate = `${cli}${count}${Date.now()}`;
  const file = `mu${Date.now()}`;

  await state("startup-idle", () => panes.seen(pane, home.ready));
  await state("prompt-typed", async () => {
    await panes.paste(pane, "look at the code of the shop");
    await panes.seen(pane, /look at the code/);
  });
  await panes.keys(pane, "C-u");
  await settled(() => panes.screen(pane));
  await state("busy-streaming", async () => {
    await submit(`PLEASE WAIT ${gate}`);
    await model.whenHeld(gate);
    await panes.seen(pane, BUSY[cli]);
  });
  model.release(gate);
  await state("finished-idle", async () => {
    await panes.seen(pane, /work at all\./);
    await gone(() => panes.screen(pane), FINISHING[cli]);
  });
  await state(cli === "pi" ? "finished-tool-idle" : "needs-input-permission", async () => {
    await submit(`PLEASE RUN ${file}`);
    await panes.seen(pane, DIALOGS[cli] ?? new RegExp(`It printed: ${file}`));
  });
  if (DIALOGS[cli] !== undefined) {
    await state("after-denial-idle", async () => {
      await panes.keys(pane, "Escape");
      await gone(() => panes.screen(pane), DIALOGS[cli] as RegExp);
    });
  }
  await state("error-400", async () => {
    await submit("PLEASE FAIL");
    await panes.seen(pane, /credit balance|API Error|Error: 400/i);
  });
  const pid = await tmux(["display-message", "-p", "-t", pane, "#{pane_pid}"]);
  await tmux(["kill-session", "-t", pane]);
  endGroup(Number(pid));
}

/** What shows that it works. */
const BUSY: Readonly<Record<RealCli, RegExp>> = {
  pi: /Working/,
  claude: /esc to interrupt/,
  codex: /I read the request/,
  gemini: /esc to cancel/,
  opencode: /esc interrupt/,
};

/** What is gone when the turn has ended. */
const FINISHING: Readonly<Record<RealCli, RegExp>> = { ...BUSY, codex: /esc to interrupt/ };

const META =
  "title=[#{pane_title}] cmd=#{pane_current_command} pid=#{pane_pid} win=#{window_name} alt=#{alternate_on} " +
  "cursor=#{cursor_x},#{cursor_y} size=#{pane_width}x#{pane_height} dead=#{pane_dead} inmode=#{pane_in_mode}";

/** Until two looks are alike but for a spinner and its seconds. */
async function settled(look: () => Promise<string>): Promise<void> {
  let last = "";
  const once = async () => {
    const seen = (await look()).replace(/[\u2800-\u28ff■⬝◦•✢✳✶✻✽·*]|\d+/g, "");
    const same = seen === last;
    last = seen;
    return same || undefined;
  };
  await pollUntil(systemClock, once, { everyMs: 700, timeoutMs: 6_000 });
}

async function gone(look: () => Promise<string>, pattern: RegExp): Promise<void> {
  const once = async () => !pattern.test(await look()) || undefined;
  const done = await pollUntil(systemClock, once, { everyMs: 200, timeoutMs: 30_000 });
  if (done === undefined) throw new Error(`${pattern} stays on the screen`);
}

function writeHome(cli: RealCli, folder: string, look: Look): AgentHome {
  mkdirSync(folder, { recursive: true });
  const project = room.folder;
  const modelUrl = model.url;
  switch (cli) {
    case "pi":
      return writePiHome(folder, { modelUrl, ...(look === "light" && { theme: "light" }) });
    case "claude":
      return writeClaudeHome(folder, { modelUrl, project, allow: [], ...(look === "light" && { theme: "light" }) });
    case "codex":
      return writeCodexHome(folder, { modelUrl, project });
    case "gemini":
      return writeGeminiHome(folder, { modelUrl, ...(look === "light" && { theme: "Default Light" }) });
    case "opencode":
      return writeOpencodeHome(folder, { modelUrl, ...(look === "light" && { theme: "github" }) });
  }
}

try {
  for (const cli of clis) {
    for (const look of looks) {
      for (const size of sizes) await record(room, model, { cli, look, size });
    }
  }
} finally {
  await room.close();
  await model.close();
}

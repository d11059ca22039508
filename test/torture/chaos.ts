import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { connect } from "../../src/db/sqlite/connect.js";
import { type Stage, WORKSTREAM } from "./stage.js";

/** Numbers in 0…1 that follow from the seed of the round. */
export type Random = () => number;

const pick = <T>(all: readonly T[], random: Random) => all[Math.floor(random() * all.length)];

async function panes(stage: Stage): Promise<{ id: string; pid: number; tty: string }[]> {
  const out = await stage.server.raw(
    "list-panes",
    "-a",
    "-F",
    "#{pane_id} #{pane_pid} #{pane_tty} #{pane_current_command}",
  );
  const rows = out.split("\n").map((line) => line.split(" "));
  return rows.filter((row) => row[3] === "node").map(([id = "", pid, tty = ""]) => ({ id, pid: Number(pid), tty }));
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {}
}

/** Something stands as it should not for this long, while the agents go on. */
async function meanwhile(random: Random): Promise<void> {
  await pause(300 + random() * 1_200);
}

async function withFile(file: string, text: string, random: Random): Promise<void> {
  writeFileSync(file, text);
  await meanwhile(random);
  rmSync(file);
}

/** Every blow, by what is done to the crew. Each takes back what the crew could not mend. */
export const BLOWS: Readonly<Record<string, (stage: Stage, random: Random) => Promise<void>>> = {
  async "an agent is killed"(stage, random) {
    const pane = pick(await panes(stage), random);
    if (pane !== undefined) kill(pane.pid);
  },
  async "mu is killed in mid-verb"(stage, random) {
    for (let n = 0; n < 6; n++) {
      const pid = pick(stage.running(), random);
      if (pid !== undefined) kill(pid);
      await pause(random() * 200);
    }
  },
  async "the tmux server is killed"(stage) {
    const pid = Number(await stage.server.raw("display-message", "-p", "#{pid}"));
    if (pid > 0) kill(pid);
  },
  async "a pane is closed"(stage, random) {
    const pane = pick(await panes(stage), random);
    if (pane !== undefined) await stage.server.raw("kill-pane", "-t", pane.id);
  },
  async "the database is locked"(stage, random) {
    const other = connect(join(stage.stateDir, "mu.db"), { timeout: 5_000 });
    other.exec("begin immediate");
    await meanwhile(random);
    other.exec("rollback");
    other.close();
  },
  async "the disk is full"(stage, random) {
    if (!stage.isSmallDisk) return;
    const file = join(stage.stateDir, "ballast");
    const ballast = openSync(file, "w");
    try {
      for (;;) writeSync(ballast, Buffer.alloc(65_536));
    } catch {}
    closeSync(ballast);
    await meanwhile(random);
    rmSync(file);
  },
  async "a worktree is deleted"(stage, random) {
    const agent = pick(stage.agents, random) as string;
    rmSync(join(stage.stateDir, "workspaces", WORKSTREAM, agent), { recursive: true, force: true, maxRetries: 5 });
  },
  async "a screen shows garbage"(stage, random) {
    const pane = pick(await panes(stage), random);
    if (pane === undefined) return;
    const bytes = Buffer.from(Array.from({ length: 4_000 }, () => Math.floor(random() * 256)));
    writeFileSync(pane.tty, bytes);
  },
  async "a file of the state is torn"(stage, random) {
    const file = pick(stateFiles(stage), random);
    if (file !== undefined) truncateSync(file, Math.floor(statSync(file).size * random()));
  },
  async "the host has another name"(stage, random) {
    await withFile(join(stage.round, "host"), "", random);
  },
  async "the clock jumps"(stage, random) {
    const days = pick([-1, -0.01, 0.01, 1, 40], random) as number;
    await withFile(join(stage.round, "ahead"), String(Math.round(days * 86_400_000)), random);
  },
};

/** What mu keeps beside its database: records of starts, spools, screens, transcripts. */
function stateFiles({ stateDir }: Stage): string[] {
  if (!existsSync(stateDir)) return [];
  return readdirSync(stateDir, { recursive: true, encoding: "utf8", withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith("mu.db"))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !file.startsWith(join(stateDir, "workspaces")));
}

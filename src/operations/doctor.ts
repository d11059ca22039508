import { existsSync } from "node:fs";
import { installedClis } from "../agents/clis/versions.js";
import { KEPT, measureKept } from "../crew/kept.js";
import { inspectStore } from "../db/health.js";
import { asFault, type NextStep } from "../errors.js";
import { counted, shellWord } from "../names.js";
import { stateFolder } from "../paths.js";
import { listWorkstreams } from "../workstreams/workstream.js";
import { type App, defineOperation, NEXT_STEPS, shape, step, type TypeOf } from "./define.js";

const CHECK = shape({ name: "string", verdict: ["ok", "warning", "error"], says: "string" });

type Check = TypeOf<typeof CHECK>;

const MARKS = { ok: "✓", warning: "!", error: "✗" };

export const doctor = defineOperation({
  name: "doctor",
  summary: "Check mu's prerequisites: the database and its disk, tmux, agent CLIs, and who you are",
  description:
    "Exits 1 if something is wrong, and 5 if the database cannot be opened. The lines below tmux list the features that mu can use here; the last lines say how much mu keeps of agents, and what bounds it.",
  effect: "read",
  output: { checks: [CHECK], features: { "*": "boolean" }, kept: [KEPT], nextSteps: NEXT_STEPS },
  examples: [
    { command: "mu doctor", shows: "all prerequisites" },
    { command: "mu doctor --fix", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  async run(app) {
    const tmux = await checkTmux(app);
    const database = await checkDatabase(app);
    const you = { check: checkCaller(app) };
    const findings: Finding[] = [...database, tmux, ...(await checkClis(app)), you, ...(await missingFolders(app))];
    return {
      checks: findings.map(({ check }) => check),
      features: tmux.features,
      kept: await measureKept(app.context.store, stateFolder(app.request.env)).catch(() => []),
      nextSteps: findings.flatMap(({ nextSteps = [] }) => nextSteps),
    };
  },
  render: ({ checks, features, kept }, paint) => [
    ...checks.map(({ name, verdict, says }) => [
      `${MARKS[verdict]} ${paint.bold(name)}  ${says}`,
      Object.entries(name === "tmux" ? features : {}).map(([feature, there]) =>
        paint.dim(`    ${there ? "has" : "lacks"} ${feature}`),
      ),
    ]),
    ...kept.map(({ kind, count, bytes, limit }) =>
      paint.dim(`  ${kind}: ${count}, ${(bytes / 2 ** 20).toFixed(1)} MiB; at most ${limit.split(";", 1)[0]}`),
    ),
  ],
  exitCode: ({ checks }) => (checks.some((check) => check.verdict === "error") ? 1 : 0),
});

interface Finding {
  check: Check;
  nextSteps?: readonly NextStep[];
}

async function checkDatabase({ context: { store } }: App): Promise<Finding[]> {
  const found = (verdict: Check["verdict"], says: string): Finding => ({ check: { name: "database", verdict, says } });
  const { location } = store;
  try {
    const { damage, file, freeBytes } = await inspectStore(store);
    const disk = freeBytes === null ? [] : [checkDisk(freeBytes)];
    if (damage.length > 0) {
      const recover = step("Save what is left", `sqlite3 ${shellWord(location)} .recover`);
      return [{ ...found("error", `${location} is damaged: ${damage.join("; ")}`), nextSteps: [recover] }, ...disk];
    }
    if (file === "empty") {
      const says = `${location} is an empty file. If it held tasks, put a backup in its place`;
      return [found("error", says), ...disk];
    }
    const { rows } = await store.query("select count(*) as n from tasks");
    const tasks = file === "missing" ? "created by the first write" : counted(Number(rows[0]?.["n"]), "task");
    return [found("ok", `${location} (${store.dialect}), ${tasks}`), ...disk];
  } catch (error) {
    const { message, nextSteps } = asFault(error);
    return [{ ...found("error", message), nextSteps }];
  }
}

/** Workstreams whose project folder is gone; none if the database cannot be read. */
async function missingFolders({ context }: App): Promise<Finding[]> {
  const rows = await listWorkstreams(context.store.db).catch(() => []);
  return rows.flatMap(({ name, root, host }): Finding[] => {
    if (root === null || host !== null || existsSync(root)) return [];
    const move = step("If it was moved, run this in its new folder", `mu workstream set root . -w ${name}`);
    return [{ check: { name, verdict: "warning", says: `its folder ${root} is gone` }, nextSteps: [move] }];
  });
}

/** Below this a write can fail at any time, in MB. */
const DISK_FULL_MB = 16;
/** Below this it is time to tidy up, in MB. */
const DISK_LOW_MB = 256;

/** What the room on the database's disk means for the next writes. */
export function checkDisk(freeBytes: number): Finding {
  const megabytes = Math.floor(freeBytes / 2 ** 20);
  const check = (verdict: Check["verdict"], says: string): Finding => ({ check: { name: "disk", verdict, says } });
  if (megabytes < DISK_FULL_MB) return check("error", `${megabytes} MB left for the database. Free some space`);
  if (megabytes < DISK_LOW_MB) return check("warning", `only ${megabytes} MB left for the database`);
  return check("ok", megabytes < 10_240 ? `${megabytes} MB left` : `${Math.floor(megabytes / 1024)} GB left`);
}

async function checkTmux(app: App): Promise<Finding & { features: Record<string, boolean> }> {
  try {
    const { tmux } = await app.crew();
    const { version, supported, features } = await tmux.probe();
    const panes = await tmux.listPanes();
    const says = `${version}, ${counted(panes.length, "pane")}${supported ? "" : "; mu needs 3.2 or newer"}`;
    return { check: { name: "tmux", verdict: supported ? "ok" : "error", says }, features: { ...features } };
  } catch (error) {
    const { message, nextSteps } = asFault(error);
    return { check: { name: "tmux", verdict: "error", says: message }, nextSteps, features: {} };
  }
}

/** The agent CLIs that are installed; of a version that mu has not seen, a status may be wrong. */
async function checkClis(app: App): Promise<Finding[]> {
  const clis = await app.crew().then(installedClis, () => []);
  return clis.map(({ cli, version, seenWith }): Finding => {
    if (seenWith.includes(version)) return { check: { name: cli, verdict: "ok", says: version } };
    const says = `${version}; its screens are known from ${seenWith.join(" and ")}, so a status may be wrong`;
    const report = step("If so, save its screen for a report", "mu agent explain <agent> --save /tmp/screen");
    return { check: { name: cli, verdict: "warning", says }, nextSteps: [report] };
  });
}

function checkCaller({ caller }: App): Check {
  if (caller.refusal !== null) return { name: "you", verdict: "warning", says: caller.refusal.message };
  return { name: "you", verdict: "ok", says: `${caller.name}, ${caller.kind === "agent" ? "an agent" : "a person"}` };
}

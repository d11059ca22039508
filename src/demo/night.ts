import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Crew } from "../agents/crew.js";
import { runProgram } from "../checks.js";
import { timestamp } from "../db/context.js";
import { listEscalations } from "../dispatch/escalation.js";
import { readReport, reportText } from "../dispatch/report.js";
import { readSettings, SETTINGS_FILE } from "../project/read.js";
import { listRuns } from "../runs/run.js";
import { dayOf } from "../runs/spend.js";
import { shape, type TypeOf } from "../shape.js";
import { applyPlan } from "../tasks/plan.js";
import type { PlanTask } from "../tasks/planned-tasks.js";
import { listTasks } from "../tasks/task.js";
import { workstreamRow } from "../workstreams/workstream.js";
import { type DemoWorld, demoInterrupted, type Scaffold, WORKSTREAM } from "./stage.js";
import { auditAll } from "./verdict.js";

/** What a night came to. Amounts are in USD. */
export const NIGHT = shape({
  runs: "number",
  spentUsd: "number",
  closed: "string[]",
  /** Waits for a person. */
  held: [{ task: "string", hold: "string", reason: "string | null" }],
  /** Has no money left for today. */
  unpaid: "string[]",
  /** The morning report, as Markdown. */
  report: "string",
});

export type Night = TypeOf<typeof NIGHT>;

/** What each role's agent is: a line for `sh`, the task in `$MU_TASK`. */
const says = (usd: number, text: string) =>
  `sh -c 'cat >/dev/null; sleep 0.3; echo "{\\"text\\":\\"${text}\\",\\"cost_usd\\":${usd}}"'`;

const role = (command: string, more: Record<string, unknown> = {}) => ({
  ...{ cli: "command", access: "read-only", workspace: false, concurrency: 2, reservationUsd: 0.2 },
  command,
  ...more,
});

const SETTINGS = {
  projectName: "The shop",
  roles: {
    design: role(says(0.12, "drawn")),
    code: role(says(0.15, "built")),
    research: role(says(0.2, "found out"), { dailyCapUsd: 0.3, concurrency: 1 }),
    press: role(`sh -c 'echo "{\\"cost_usd\\":0.01}"; echo The press is out of ink. >&2; exit 1'`),
  },
};

const PLAN: readonly PlanTask[] = [
  { name: "brief", title: "Write the brief", role: "design" },
  { name: "logo", title: "Draw the logo", role: "design", blockedBy: ["brief"] },
  { name: "catalogue", title: "Build the catalogue", role: "code", blockedBy: ["brief"] },
  { name: "checkout", title: "Build the checkout", role: "code", blockedBy: ["catalogue"] },
  { name: "terms", title: "Put the terms on a page", role: "code" },
  { name: "market", title: "Look at the market", role: "research", impact: 90 },
  { name: "rivals", title: "Look at the rivals", role: "research" },
  { name: "flyer", title: "Print the flyer", role: "press" },
];
const LONGEST_MS = 120_000;
const UNPAID = ["rivals"];
const HELD = ["flyer"];

/** Lets a dispatcher work through eight tasks of four roles, unattended; one fails for good, and one budget runs out. */
export async function playNight(
  world: DemoWorld,
  crew: Crew,
  { repository }: Scaffold,
): Promise<{ night: Night; problems: string[] }> {
  const { context } = crew;
  await mkdir(join(repository, ".mu"), { recursive: true });
  await writeFile(join(repository, SETTINGS_FILE), JSON.stringify(SETTINGS, null, 2));
  await applyPlan(context, WORKSTREAM, { tasks: PLAN }, { init: { root: repository } });
  world.report("Four roles, eight tasks, nobody at the keyboard. The dispatcher says:\n");
  let line = "";
  const { interrupted } = await runProgram(crew, {
    ...{ file: "mu", args: ["dispatch", "--once", "-w", WORKSTREAM, "--json"], cwd: repository },
    ...{ env: { ...crew.databaseEnv, MU_RETRY_BACKOFF: "0" }, timeoutMs: LONGEST_MS, signal: world.signal },
    onOutput(chunk, from) {
      const lines = (line + (from === "stderr" ? Buffer.from(chunk).toString("utf8") : "")).split("\n");
      line = lines.pop() ?? "";
      for (const one of lines) world.report(`  ${one}`);
    },
  });
  if (interrupted) throw demoInterrupted();
  const { db } = context.store;
  const { id, name, root } = await workstreamRow(db, WORKSTREAM);
  const settings = await readSettings(repository);
  const scene = { workstream: { id, name, root }, settings, stateDir: crew.stateDir, max: 1 };
  const report = await readReport(crew, scene, dayOf(timestamp(context.clock)));
  const tasks = await listTasks(db, { workstream: WORKSTREAM });
  const runs = await listRuns(db, WORKSTREAM);
  const held = (await listEscalations(db, scene)).map(({ task, hold, reason }) => ({ task, hold, reason }));
  const closed = tasks.filter(({ status }) => status === "CLOSED").map((task) => task.name);
  const unpaid = tasks.filter(({ status, hold }) => status === "OPEN" && hold === null).map((task) => task.name);
  const spentUsd = Math.round(runs.reduce((sum, { costUsd }) => sum + (costUsd ?? 0), 0) * 100) / 100;
  const night = { runs: runs.length, spentUsd, closed, held, unpaid, report: reportText(report, settings.projectName) };
  return { night, problems: problemsOf(night, (await context.store.read(auditAll)).ok) };
}

function problemsOf({ closed, held, unpaid }: Night, isChainWhole: boolean): string[] {
  const heldNames = held.map(({ task }) => task);
  return [
    ...(closed.length === PLAN.length - HELD.length - UNPAID.length ? [] : [`${closed.length} tasks were closed`]),
    ...(heldNames.join() === HELD.join() ? [] : [`held for a person: ${heldNames.join(", ") || "none"}`]),
    ...(unpaid.join() === UNPAID.join() ? [] : [`without money: ${unpaid.join(", ") || "none"}`]),
    ...(isChainWhole ? [] : ["the chain of events is broken"]),
  ];
}

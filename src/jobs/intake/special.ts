import { existsSync } from "node:fs";
import { readFile, realpath } from "node:fs/promises";
import { join } from "node:path";
import type { NodeKind } from "../../flow/steps.js";
import { ROLE_OF } from "../../flow/steps.js";
import type { Host } from "../../host.js";
import { readInside } from "../../inside.js";
import { runFolder } from "../../runs/files.js";
import { keptOf } from "../../runs/perform.js";
import { endingFor } from "../../runs/prompt.js";
import { runRow, selectRuns } from "../../runs/run.js";
import type { Special, SpecialRun } from "../../runs/special.js";
import { listNotes } from "../../tasks/notes.js";
import { type selectTasks, taskRow } from "../../tasks/task.js";
import { writeWhole } from "../../whole-file.js";
import { workstreamRow } from "../../workstreams/workstream.js";
import { tested } from "../tested.js";
import { INTAKES, partsOfIntake, scopeOf, scopeText } from "./intake.js";

/** Runs of the tasks of intakes: in the project's folder, told by what was asked for and by what others said of it. */
export const intakeRuns: Special = { begin, judge, after, catchUp };

async function begin({ world, run, task, root, settings }: SpecialRun) {
  const { db } = world.context.store;
  const kind = task.kind as NodeKind;
  const intake = await taskRow(db, { workstream: run.workstream, name: task.root ?? "" });
  const scope = scopeOf(intake);
  const name = settings.projectName === "" ? "" : ` of ${settings.projectName}`;
  const parts = [
    `You are the ${ROLE_OF[kind]} of the request ${intake.name}${name}. Nobody watches: do not ask questions, decide.`,
    await instructionsFor(root, kind),
    `# What was asked for\n\n${(intake.description ?? intake.title).trim()}`,
    scope && scopeText(scope).replace(/^## /, "# "),
    kind === "build" && task.title !== intake.title && !task.title.startsWith(intake.title)
      ? `# Your part of it\n\n${[task.title, task.description].filter(Boolean).join("\n\n")}`
      : null,
    ...(await whatOthersSaid(world, intake, run.task)),
    `# How to end\n\n${endingFor(kind)}`,
  ];
  const prompt = `${parts.filter(Boolean).join("\n\n")}\n`;
  await writeWhole(join(runFolder(keptOf(world.stateDir, run)), "prompt.md"), prompt);
  return { cwd: root, prompt, system: null };
}

async function instructionsFor(root: string, kind: NodeKind): Promise<string> {
  const own = await readInside(await realpath(root), `.mu/prompts/intake/${kind}.md`);
  return (own?.toString("utf8") ?? (await readFile(join(import.meta.dirname, PROMPTS, `${kind}.md`), "utf8"))).trim();
}

/** Beside the program as it is shipped, and beside this file in the sources. */
const PROMPTS = import.meta.dirname.endsWith("intake") ? "../prompts/intake" : "prompts/intake";

/** Most that one agent's words take in another one's prompt, in characters. */
const MOST_SAID = 16_384;

async function whatOthersSaid(world: SpecialRun["world"], intake: { id: number; workstream: string }, self: string) {
  const { db } = world.context.store;
  const said: string[] = [];
  for (const part of await partsOfIntake(db, intake)) {
    if (part.name === self || part.status !== "CLOSED") continue;
    const notes = await listNotes(db, { workstream: intake.workstream, name: part.name });
    const judged = notes.filter(({ kind }) => kind === "review" || kind === "test").at(-1);
    const answer = judged?.text ?? (await answerOf(db, part.id));
    if (answer !== null) said.push(`# ${part.name} (${part.outcome ?? "done"})\n\n${answer.trim().slice(-MOST_SAID)}`);
  }
  return said;
}

async function answerOf(db: Parameters<typeof selectTasks>[0], task: number): Promise<string | null> {
  const run = await db
    .selectFrom("runs")
    .select("answer")
    .where("task_id", "=", task)
    .where("state", "=", "done")
    .orderBy("id", "desc")
    .limit(1)
    .executeTakeFirst();
  return run?.answer ?? null;
}

async function judge(about: SpecialRun, cwd: string, judged: Parameters<Special["judge"]>[2]) {
  return { judged: about.task.kind === "test" ? await tested(about, cwd, judged) : judged };
}

/** What was found out is kept as a document, beside that of the request. */
async function after({ world, run, root }: Parameters<Special["after"]>[0]): Promise<void> {
  const { db } = world.context.store;
  const task = await taskRow(db, { workstream: run.workstream, name: run.task });
  const now = await runRow(db, run.id);
  if (task.kind === "recon" && now.state === "done") await keepRecon(root, task.root, now.answer);
}

async function keepRecon(root: string, intake: string | null, answer: string | null): Promise<void> {
  if (answer !== null) await writeWhole(reconPath(root, intake), `${answer.trim()}\n`, 0o644);
}

const reconPath = (root: string, intake: string | null) => join(root, INTAKES, `${intake}.recon.md`);

async function catchUp({ context }: Host, workstream: string): Promise<void> {
  const { root } = await workstreamRow(context.store.db, workstream);
  if (root === null) return;
  const ended = await selectRuns(context.store.db)
    .innerJoin("tasks as n", "n.id", "r.task_id")
    .innerJoin("tasks as i", "i.id", "n.root_id")
    .select("i.name as intake")
    .where("w.name", "=", workstream)
    .where("n.kind", "=", "recon")
    .where("r.state", "=", "done")
    .orderBy("r.id")
    .execute();
  for (const { intake, answer } of ended)
    if (!existsSync(reconPath(root, intake))) await keepRecon(root, intake, answer);
}

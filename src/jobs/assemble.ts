import { readFile, realpath } from "node:fs/promises";
import { join } from "node:path";
import type { Reader } from "../db/schema.js";
import { Fault } from "../errors.js";
import { placeOf, type StepPlan } from "../flow/payload.js";
import { type NodeKind, ROLE_OF, STEPS, type StepName } from "../flow/steps.js";
import { readInside } from "../inside.js";
import type { ProjectSettings } from "../project/settings.js";
import { endingFor } from "../runs/prompt.js";
import { listNotes } from "../tasks/notes.js";
import type { VcsWorld } from "../vcs/vcs.js";
import { type Artifact, artifactPath, branchPath, readArtifacts, readFileOf } from "./folder.js";
import type { JobRow } from "./job.js";
import { type ContextText, docsFor, findModules, type Module, rulesFor, scanModules } from "./modules.js";
import { rawLog, traceLog } from "./trace.js";

/** A part of a prompt. */
export interface Part {
  what: string;
  path: string | null;
  bytes: number;
  /** False for what was left out for its size: the prompt names it instead. */
  included: boolean;
}

export interface Prompt {
  text: string;
  parts: Part[];
  /** The artifact that is revised, as it was when the prompt was made. */
  revises: Artifact | undefined;
  /** Somebody has changed that artifact since mu registered it. */
  edited: boolean;
}

/** What a prompt is made for. */
export interface PromptAbout {
  world: VcsWorld;
  db: Reader;
  settings: ProjectSettings;
  job: JobRow;
  step: StepName;
  kind: NodeKind;
  plan: StepPlan;
  /** The task itself; without it, the prompt is the one that the step would begin with. */
  node?: { id: number; name: string; payload: string | null } | undefined;
  /** Where the agent works. */
  cwd: string;
  /** What it must know of its checkout first. */
  clash?: string | null | undefined;
}

interface Section extends Part {
  body: string;
  /** Left out in this order when all is too large, the lowest first; undefined: never. */
  spare?: number | undefined;
}

/** The artifact that a part is about is left out last: its agent can read it on the disk. */
const OWN = 500;

/** Puts together what an agent of a step is told. Faults `job.no_prompt`, `file.outside`, `file.not_readable`. */
export async function assemblePrompt(about: PromptAbout): Promise<Prompt> {
  const { db, settings, job, step, kind, plan } = about;
  const { root, folder } = job;
  const artifacts = await readArtifacts(root, folder);
  const { round } = placeOf(about.node?.payload);
  const isMaker = kind === STEPS[step].make;
  const own = artifacts.find((one) => one.step === step);
  const revises = isMaker && round > 0 ? own : undefined;
  const edited = revises !== undefined && (await isEdited(db, job, revises));
  const sections: Section[] = [
    section("instructions", null, await instructionsFor(about)),
    ...(plan.instructions === null
      ? []
      : [section("request", null, plan.instructions, { head: "What was asked for" })]),
    ...contextOf(artifacts, step, { isMaker, own }),
    ...(await documents(about)),
    ...(step === "upgrade" ? await logs(db, about) : []),
    ...(isMaker ? await refusals(about) : []),
    ...(await feedback(about)),
    ...(revises === undefined ? [] : [revision(revises, edited)]),
  ];
  const { kept, left } = cutTo(sections, settings.jobs.maxPromptKb * 1024);
  const missing =
    left.length > 0 &&
    `# Left out for their size: read them yourself\n\n${left.map(({ what, path }) => `- ${what}: ${path}`).join("\n")}`;
  const text = [
    `You are the ${ROLE_OF[kind]} in the step ${step} of the job ${job.row.name}${settings.projectName ? ` of ${settings.projectName}` : ""}. Nobody watches: do not ask questions, decide.`,
    ...kept.map(({ body }) => body),
    missing,
    howToEnd(about, { isMaker, round }),
  ];
  return {
    text: `${text.filter(Boolean).join("\n\n")}\n`,
    parts: sections.map(({ what, path, bytes, included }) => ({ what, path, bytes, included })),
    revises,
    edited,
  };
}

function section(
  what: string,
  path: string | null,
  text: string,
  { head, spare }: { head?: string; spare?: number | undefined } = {},
): Section {
  const body = head === undefined ? text.trim() : `# ${head}\n\n${text.trim()}`;
  return { what, path, bytes: Buffer.byteLength(text), included: true, body, spare };
}

/** The project's own text for this part of a step, else mu's. */
async function instructionsFor({ settings, job, step, kind }: PromptAbout): Promise<string> {
  const named = settings.jobs.steps[step]?.[ROLE_OF[kind]]?.prompt ?? null;
  const own = named ?? `.mu/prompts/${step}/${kind}.md`;
  const found = await readInside(await realpath(job.root), own);
  if (found !== undefined) return found.toString("utf8");
  if (named !== null) {
    throw new Fault("conflict", "job.no_prompt", `The prompt file ${named} of the step ${step} is not there.`);
  }
  return readFile(join(import.meta.dirname, "prompts", kind === "route" ? "route.md" : `${step}/${kind}.md`), "utf8");
}

/** The other artifacts of the job; what the step is made for first, and left out last. */
function contextOf(
  artifacts: readonly Artifact[],
  step: StepName,
  { isMaker, own }: { isMaker: boolean; own: Artifact | undefined },
) {
  const { reads } = STEPS[step] as { reads: readonly string[] };
  const rank = ({ step: of }: Artifact) => (reads.includes(of) ? reads.indexOf(of) : reads.length);
  const others = artifacts.filter((one) => one.step !== step).sort((a, b) => rank(a) - rank(b));
  const judged = isMaker || own === undefined ? [] : [own];
  return [
    ...judged.map((one) =>
      section(`artifact ${one.step}`, one.path, one.text, { head: `${one.path}, which you judge`, spare: OWN }),
    ),
    ...others.map((one) =>
      section(`artifact ${one.step}`, one.path, one.text, {
        head: one.path,
        spare: rank(one) < reads.length ? 300 - rank(one) : 100 - rank(one),
      }),
    ),
  ];
}

async function documents({ world, job, step, kind }: PromptAbout): Promise<Section[]> {
  const { modules } = await scanModules(world, job.root);
  const chosen = kind === "route" ? modules : findModules(modules, stillThere(modules, job.plan.modules));
  const docs = await docsFor(job.root, modules, chosen);
  const rules = kind === "route" ? [] : await rulesFor(job.root, step, chosen);
  // A leaf's document goes before that of the folder above it, which explains more.
  return [...docs.map((doc, at) => textSection(doc, 200 - at)), ...rules.map((rule) => textSection(rule, 400))];
}

const textSection = ({ what, path, text }: ContextText, spare: number) =>
  section(what, path, text, { head: `${what} (${path})`, spare });

/** The modules of a job that still have a document. */
function stillThere(modules: readonly Module[], names: readonly string[] | null): string[] {
  const known = new Set(modules.map(({ name }) => name));
  return (names ?? []).filter((name) => known.has(name));
}

/** The logs of the job: of these only the ends are told, the files are named. */
async function logs(db: Reader, { job }: PromptAbout): Promise<Section[]> {
  const { folder } = job;
  const trace = await traceLog(db, job);
  return [
    section("trace", join(folder, "agent_trace.log"), trace, { head: "What the agents of this job did", spare: 50 }),
    section("logs", join(folder, "agent_raw.log"), `What they printed is in ${join(folder, rawLog)}.`, {
      head: "Their output",
    }),
  ];
}

/** What judges and other builders said that this part goes by. */
async function feedback({ db, job, step, kind, node }: PromptAbout): Promise<Section[]> {
  if (node === undefined) return [];
  const before = await db
    .selectFrom("task_edges as e")
    .innerJoin("tasks as b", "b.id", "e.blocker_id")
    .select(["b.name", "b.kind", "b.payload", "b.outcome"])
    .where("e.blocked_id", "=", node.id)
    .where("b.kind", "in", ["review", "test", "merge", "draft"])
    .orderBy("b.id")
    .execute();
  const found: Section[] = [];
  for (const one of before) {
    if (one.kind === "draft") {
      const { round, index } = placeOf(one.payload);
      if (round > 0) continue;
      const draft = await readFileOf(job.root, branchPath(job.folder, step, index));
      if (draft !== undefined)
        found.push(section(`draft ${index}`, draft.path, draft.text, { head: `Draft ${index}` }));
      continue;
    }
    if (kind !== STEPS[step].make) continue;
    const notes = await listNotes(db, { workstream: job.row.workstream, name: one.name });
    const said = notes
      .filter((note) => note.kind === "review" || note.kind === "test")
      .map((note) => withoutMarker(note.text));
    const head = { review: "A reviewer says", test: "The tester says", merge: "What comparing the drafts came to" }[
      one.kind
    ];
    const verdict = one.outcome === "pass" || one.outcome === "fail" ? ` (${one.outcome})` : "";
    if (said.length > 0)
      found.push(section(`${one.kind} ${one.name}`, null, said.join("\n\n"), { head: `${head}${verdict}` }));
  }
  return found;
}

/** Why the job came back from landing or from a review since its last report. */
async function refusals({ db, job, clash }: PromptAbout): Promise<Section[]> {
  const reports = await db
    .selectFrom("tasks")
    .select("closed_at")
    .where("root_id", "=", job.row.id)
    .where("kind", "=", "step")
    .where("step", "=", "report")
    .where("status", "=", "CLOSED")
    .orderBy("closed_at", "desc")
    .execute();
  const since = reports[0]?.closed_at;
  const notes = since == null ? [] : await listNotes(db, { workstream: job.row.workstream, name: job.row.name });
  const said = notes
    .filter(({ kind, createdAt }) => (kind === "review" || kind === "test") && createdAt >= (since ?? ""))
    .map(({ text }) => text);
  return [
    ...(said.length === 0 ? [] : [section("refusal", null, said.join("\n\n"), { head: "Why the job came back" })]),
    ...(clash == null ? [] : [section("checkout", null, clash, { head: "Your checkout" })]),
  ];
}

function revision({ path, text }: Artifact, edited: boolean): Section {
  const why = edited ? " A person has edited it since: keep what they changed." : "";
  return section("revised artifact", path, text, { head: `${path} as it is. You revise it.${why}`, spare: OWN });
}

/** Whether the artifact is not as mu registered it last. */
async function isEdited(db: Reader, { row }: JobRow, { path, sha256 }: Artifact): Promise<boolean> {
  const newest = await db
    .selectFrom("assets")
    .select("sha256")
    .where("workstream_id", "=", row.workstream_id)
    .where("path", "=", path)
    .orderBy("version", "desc")
    .limit(1)
    .executeTakeFirst();
  return newest !== undefined && newest.sha256 !== sha256;
}

/** Leaves out what can be spared until the rest fits, and takes back what then still does. */
function cutTo(sections: readonly Section[], most: number): { kept: Section[]; left: Section[] } {
  let size = sections.reduce((sum, { bytes }) => sum + bytes, 0);
  const spared = [...sections]
    .filter(({ spare }) => spare !== undefined)
    .sort((a, b) => (a.spare ?? 0) - (b.spare ?? 0));
  for (const one of spared) {
    if (size <= most) break;
    one.included = false;
    size -= one.bytes;
  }
  // What is small was left out for nothing where something large had to go in the end.
  for (const one of spared.reverse()) {
    if (one.included || size + one.bytes > most) continue;
    one.included = true;
    size += one.bytes;
  }
  return { kept: sections.filter(({ included }) => included), left: sections.filter(({ included }) => !included) };
}

function howToEnd(
  { job, step, kind, cwd }: PromptAbout,
  { isMaker, round }: { isMaker: boolean; round: number },
): string {
  const path = join(job.root, artifactPath(job.folder, step));
  const isReader = STEPS[step].writes === null;
  const commit = job.plan.workspace
    ? "Commit your work in the checkout that you are in."
    : "Do not commit: a person does.";
  const where = !isMaker
    ? ""
    : isReader || round === 0
      ? "Answer with the whole text of the artifact and nothing else: mu keeps your answer as the file.\n\n"
      : `${cwd === job.root ? "" : "You work in a checkout of the project. "}${commit} Write ${STEPS[step].artifact} to ${path}; if you cannot, answer with its whole text.\n\n`;
  return `# How to end\n\n${where}${endingFor(kind)}`;
}

/** An answer without the line that only says how it ended. */
export function withoutMarker(answer: string): string {
  const lines = answer.trimEnd().split("\n");
  const last = lines.at(-1)?.trim() ?? "";
  const isMarker = /^#{1,4}\s+(?:DONE|PASS|FAIL|BLOCKED)\W*$/i.test(last) || /^\{.*"verdict".*\}$/.test(last);
  return (isMarker ? lines.slice(0, -1) : lines).join("\n").trim();
}

import { randomBytes } from "node:crypto";
import { lstat, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Context } from "../db/context.js";
import { Fault } from "../errors.js";
import { quote, shellWord, slug, unusedName } from "../names.js";
import { writeWhole } from "../whole-file.js";
import { initWorkstream } from "../workstreams/workstream.js";
import { checkSettings, invalid, SETTINGS_FILE } from "./read.js";

/** Where editors find the schema of the settings file. */
const SCHEMA = "https://unpkg.com/mu-crew@2/docs/settings.schema.json";

/** What a person says of a new project. */
export interface ProjectAnswers {
  projectName: string;
  ntfyTopic: string;
  subjectPrefix: string;
}

/** What a project is called and where its notices go, if nobody says so. */
export function defaultAnswers(root: string, name = basename(root) || "project"): ProjectAnswers {
  const ntfyTopic = `${slug(name).slice(0, 40) || "project"}-${randomBytes(6).toString("hex")}`;
  return { projectName: name, ntfyTopic, subjectPrefix: name };
}

/** The specialists of a new project: what each is for, who follows, its daily cap in USD and its tools. */
const STARTING_ROLES = {
  design: {
    mission: "You write specifications: what to build, how it behaves, and how one sees that it is right.",
    ...{ next: "code", dailyCapUsd: 10 },
  },
  code: {
    mission: "You implement what the specifications say, with tests.",
    ...{ next: "qa", dailyCapUsd: 20 },
  },
  qa: {
    mission: "You test what was built against its specification, and report what does not hold.",
    ...{ next: "code", dailyCapUsd: 10 },
  },
};

/** The settings of a new project, whose roles run on `cli`. */
export function startingSettings(answers: ProjectAnswers, cli: string): Record<string, unknown> {
  const { projectName, ntfyTopic, subjectPrefix } = answers;
  const roles = Object.entries(STARTING_ROLES).map(([name, { dailyCapUsd }]) => {
    return [name, { cli, prompt: promptOf(name), dailyCapUsd, reservationUsd: 0.2 }];
  });
  return {
    projectName,
    budget: { projectCeilingUsd: 40 },
    notifications: { ntfyTopic, subjectPrefix },
    roles: Object.fromEntries(roles),
  };
}

const promptOf = (role: string) => `agents/${role}/system_prompt.md`;

/** A file of a new project, its path relative to the project folder. */
interface ProjectFile {
  path: string;
  text: string;
  /** Whether a file that is there already is the project's own, and stays. */
  stays?: boolean;
}

/** The texts that a new project begins with; `{word}` stands for what differs. */
export type ReadTemplate = (name: "system_prompt.md" | "ONBOARDING.md") => Promise<string>;

/**
 * The files of a project with these settings, the settings file last. Of settings that come from another file, `source`,
 * the prompts may be there. Faults `settings.invalid`, which names it.
 */
export async function projectFiles(
  given: Record<string, unknown>,
  template: ReadTemplate,
  source?: string,
): Promise<ProjectFile[]> {
  const problems: string[] = [];
  const settings = checkSettings(given, problems);
  if (problems.length > 0) throw invalid(problems, source);
  const names = Object.keys(settings.roles);
  const words = { project: settings.projectName, roles: names.join(", ") };
  const prompt = await template("system_prompt.md");
  const prompts = Object.values(settings.roles).flatMap(({ name, prompt: path }) => {
    const starting = STARTING_ROLES[name as "code"];
    const next = starting?.next ?? names.find((other) => other !== name) ?? name;
    const mission = starting?.mission ?? `You do the tasks of the role ${name}.`;
    const text = filled(prompt, { ...words, role: name, mission, next });
    return path === null ? [] : [{ path, text, stays: source !== undefined }];
  });
  const [first = "code"] = names;
  const seeds = [
    { role: first, title: "Describe the first thing to build", description: "What it is for.", priority: 3 },
    { role: first, title: "List what could go wrong", description: "One task for each risk.", payload: { most: 5 } },
  ];
  return [
    ...prompts,
    { path: "ONBOARDING.md", text: filled(await template("ONBOARDING.md"), words) },
    { path: "seed_tasks.example.json", text: json(seeds) },
    { path: ".mu/.gitignore", text: IGNORED },
    { path: SETTINGS_FILE, text: json({ $schema: SCHEMA, ...given }) },
  ];
}

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;

/** What in `.mu` belongs to this machine alone. */
const IGNORED = [
  ...["kill_switch", "escalations/", "needs-attention.md", "morning-report-*.md"],
  ...["jobs/local-*/", "jobs/.archive/local-*/", "jobs/.deleted/", ""],
].join("\n");

const filled = (text: string, words: Readonly<Record<string, string>>) =>
  text.replace(/\{(\w+)\}/g, (whole, word: string) => words[word] ?? whole);

const isThere = (root: string, { path }: ProjectFile) =>
  lstat(join(root, path)).then(
    () => true,
    () => false,
  );

const isSame = async (root: string, { path, text }: ProjectFile) =>
  (await readFile(join(root, path), "utf8").catch(() => undefined)) === text;

/**
 * Refuses to overwrite: with a settings file the project is there, and a file that differs is somebody's. What an
 * interrupted init left is neither. Faults `project.exists` with all files that are there.
 */
export async function requireUnused(root: string, files: readonly ProjectFile[]): Promise<void> {
  const there: string[] = [];
  let isInterrupted = true;
  for (const file of files.filter(({ stays }) => !stays)) {
    if (!(await isThere(root, file))) continue;
    there.push(file.path);
    isInterrupted &&= file.path !== SETTINGS_FILE && (await isSame(root, file));
  }
  if (isInterrupted) return;
  const message = `${root} has files of a project already: ${there.join(", ")}. Nothing was written.`;
  const steps = [
    { intent: "See what is set", command: "mu workstream show" },
    { intent: "Overwrite these files", command: `mu init --force --dir ${shellWord(root)}` },
  ];
  throw new Fault("conflict", "project.exists", message, steps, { files: there });
}

/**
 * Writes the files and makes the workstream of the folder, or takes the one that it has; gives its name and what was
 * written. The settings file comes last: until it is there, the same call finishes what was cut off. Faults
 * `file.not_writable`.
 */
export async function initProject(
  context: Context,
  root: string,
  name: string,
  files: readonly ProjectFile[],
): Promise<{ workstream: string; written: string[] }> {
  const rows = await context.store.db.selectFrom("workstreams").select(["name", "root"]).orderBy("name").execute();
  const wanted = slug(name.replace(/^mu[-_ ]+/i, "")).slice(0, 28) || "project";
  const workstream =
    rows.find((row) => row.root === root)?.name ??
    unusedName(wanted, (taken) => rows.some((row) => row.name === taken));
  const written: string[] = [];
  for (const file of files) {
    if (file.stays && (await isThere(root, file))) continue;
    if (file.path === SETTINGS_FILE) await initWorkstream(context, workstream, { root });
    await writeFile(root, file);
    written.push(file.path);
  }
  return { workstream, written };
}

async function writeFile(root: string, { path, text }: ProjectFile): Promise<void> {
  try {
    await writeWhole(join(root, path), text, 0o644);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    throw new Fault(
      "unavailable",
      "file.not_writable",
      `The file ${quote(join(root, path))} cannot be written (${reason}).`,
    );
  }
}

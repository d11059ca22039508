import { basename, resolve } from "node:path";
import * as z from "zod";
import {
  defaultAnswers,
  initProject,
  type ProjectAnswers,
  projectFiles,
  requireUnused,
  startingSettings,
} from "../project/init.js";
import { accepts, type Key, wantsOf } from "../project/keys.js";
import { importProducer } from "../project/producer.js";
import { projectEnv } from "../project/read.js";
import { isInstalled } from "../project/roles.js";
import { PROJECT_KEYS } from "../project/settings.js";
import { type App, defineOperation, readSource, step } from "./define.js";
import { field, flag } from "./fields.js";
import { openSession } from "./workstream/init.js";

/** The agent CLIs that help to set up a project, the first one that is installed, and how each takes a first prompt. */
const HELPERS: Readonly<Record<string, readonly string[]>> = {
  claude: [],
  codex: [],
  gemini: ["--prompt-interactive"],
  opencode: ["--prompt"],
  pi: [],
};
const FIRST_PROMPT = "Read ONBOARDING.md and help me to set up this project.";

export const init = defineOperation({
  name: "init",
  summary: "Set up a project: its settings, roles and workstream",
  description:
    "Writes .mu/settings.json, a prompt for each starting role, ONBOARDING.md and seed_tasks.example.json, and creates the workstream of the folder. On a terminal it asks for the project's name and where notices go, and at the end starts an agent CLI with ONBOARDING.md. Where a project is already, it writes nothing and exits 4. --import converts a producer.yaml; its prompts stay as they are.",
  effect: "write",
  input: () => ({
    dir: field(z.string().min(1).optional(), "Project folder (default: this one)", { value: "folder" }),
    force: flag("Overwrite the files of a project; all others stay"),
    nonInteractive: flag("Ask nothing, use the defaults"),
    chat: field(z.boolean().default(true), "Do not start an agent CLI at the end"),
    import: field(z.string().min(1).optional(), "A producer.yaml to convert", { value: "file" }),
  }),
  output: {
    ...{ root: "string", workstream: "string", roles: "string[]", files: "string[]" },
    ...{ remarks: "string[]", helper: "string | null" },
  },
  examples: [
    { command: "mu init --non-interactive --no-chat --dir shop", shows: "a new project with the defaults" },
    { command: "mu init --non-interactive --no-chat", shows: "a folder with a project", fault: "project.exists" },
  ],
  async run(app, { dir = ".", force, nonInteractive, chat, import: source }) {
    const { request, program, context } = app;
    const root = resolve(request.cwd, dir);
    const env = await projectEnv(root, request.env);
    const helper = await installedHelper(env, root);
    const imported = source === undefined ? undefined : await importProducer(root, await readSource(request, source));
    const settingsFor = (answers: ProjectAnswers) =>
      imported?.settings ?? startingSettings(answers, helper ?? "claude");
    const filesFor = (answers: ProjectAnswers) =>
      projectFiles(settingsFor(answers), (name) => program.readTemplate(name), source);
    let answers = defaultAnswers(root);
    if (!force) await requireUnused(root, await filesFor(answers));
    if (!nonInteractive && imported === undefined) answers = await asked(app, answers);
    const files = await filesFor(answers);
    if (!force) await requireUnused(root, files);
    const name = String(settingsFor(answers)["projectName"] || basename(root));
    const { workstream, written } = await initProject(context, root, name, files);
    await openSession(app, workstream);
    const roles = Object.keys((settingsFor(answers)["roles"] ?? {}) as object);
    if (chat && helper !== null) await handOver(app, root, helper);
    return { root, workstream, roles, files: written, remarks: imported?.remarks ?? [], helper };
  },
  next: ({ workstream, roles: [role], helper }) => [
    ...(helper === null ? [] : [step("Design your roles with an agent", `${helper} '${FIRST_PROMPT}'`)]),
    step("Check the roles", `mu role check -w ${workstream}`),
    step(
      "Add the first task",
      `mu task add 'What to do first'${role === undefined ? "" : ` --role ${role}`} -w ${workstream}`,
    ),
    step("See how to import tasks", "mu task import --help"),
  ],
  render: ({ root, workstream, files, remarks, helper }, paint) => [
    `Set up ${paint.bold(workstream)} in ${root}`,
    files.map((path) => `  + ${path}`),
    remarks.map((remark) => `  ! ${remark}`),
    helper === null && "No agent CLI is installed. Once one is, start it here and ask it to read ONBOARDING.md.",
  ],
});

/** The person's answers; the defaults where there is nobody to ask. */
async function asked({ request }: App, { projectName, ntfyTopic }: ProjectAnswers): Promise<ProjectAnswers> {
  const { notifications: keys } = PROJECT_KEYS;
  const ask = async (text: string, fallback: string, key: Key) => {
    const problem = (answer: string) => (accepts(key, answer) ? undefined : `It must be ${wantsOf(key)}.`);
    return (await request.terminal?.ask({ text, fallback, problem })) ?? fallback;
  };
  const name = (await ask("Project name", projectName, PROJECT_KEYS.projectName)) || projectName;
  const topic = name === projectName ? ntfyTopic : defaultAnswers("", name).ntfyTopic;
  return {
    projectName: name,
    ntfyTopic: await ask("ntfy topic for notices (Backspace for none)", topic, keys.ntfyTopic),
    subjectPrefix: await ask("First words of each notice", name, keys.subjectPrefix),
  };
}

async function installedHelper(env: App["request"]["env"], root: string): Promise<string | null> {
  for (const name of Object.keys(HELPERS)) if (await isInstalled(name, env, root)) return name;
  return null;
}

/** Gives the terminal to the agent CLI until it ends; where there is none, nothing happens. */
async function handOver({ request }: App, root: string, helper: string): Promise<void> {
  const start = ["-c", 'cd "$1" && shift && exec "$@"', "sh", root, helper, ...(HELPERS[helper] ?? []), FIRST_PROMPT];
  await request.terminal?.run({ file: "sh", args: start });
}

import { join, resolve } from "node:path";
import * as z from "zod";
import { asFault, Fault } from "../../errors.js";
import { INTAKE_KINDS, type IntakeKind } from "../../flow/intake.js";
import { handleRequest, type RequestResult, workstreamOfFolder } from "../../jobs/intake/request.js";
import { decisionPrompt, parseDecision, ROUTES, type Route } from "../../jobs/intake/turns.js";
import { isObject } from "../../shape.js";
import { workstreamRow } from "../../workstreams/workstream.js";
import { type App, defineOperation } from "../define.js";
import { field, flag, type InputOf, optionalText } from "../fields.js";
import { scopedItem } from "./contract.js";
import { openTurns, requestWorld, type TurnWish } from "./world.js";

/** What both the command and the prompt take. */
export const requestFields = () => ({
  route: field(z.enum(ROUTES).default("auto"), "Have the agent decide, do it directly, or delegate it in stages"),
  intake: field(z.enum(["auto", ...INTAKE_KINDS]).default("auto"), "What is delegated: a probe, an idea or a task"),
  workspace: optionalText("Project folder, or the name of its workstream; a folder without one gets one", {
    value: "folder",
  }),
  cwd: optionalText("Folder that the agent works in, if not the project's", { value: "folder" }),
  millraceMode: optionalText("Name of a workflow; all mean the default one", { value: "mode" }),
  thinking: field(z.string().default("high"), "How much the agent thinks", { value: "level" }),
  provider: optionalText("Provider of pi's model; claude-code: Claude Code instead of pi", { value: "name" }),
  model: optionalText("Its model", { value: "name" }),
  skill: field(z.array(z.string().min(1)).default([]), "Skill that pi loads", { value: "path" }),
  noDefaultSkills: flag("Load no skill but those"),
  daemonTimeoutSeconds: field(z.number().min(1).max(604_800).default(7200), "Longest wait for delegated work", {
    value: "n",
  }),
  piTimeoutSeconds: field(z.number().min(1).max(86_400).default(3600), "Longest turn of the agent", { value: "n" }),
  notifyTerminalStages: field(z.boolean().default(true), "Do not tell the agent what ends before all of it has"),
  maxDaemonRestarts: field(
    z.number().int().min(0).max(100).default(1),
    "How often a dispatcher that is gone is started again",
    {
      value: "n",
    },
  ),
  keepDaemon: flag("Leave the dispatcher that this starts running"),
  piSession: field(z.enum(["rpc", "print"]).default("rpc"), "One conversation, or a process for each turn"),
  piCommand: optionalText("Program instead of pi", { value: "program" }),
  millraceCommand: optionalText("Taken and not used: the work is run here", { value: "program" }),
});

export type RequestInput = InputOf<typeof requestFields>;

/** The workstream and folder of a request. */
export async function placeOf(app: App, { workspace, cwd }: Pick<RequestInput, "workspace" | "cwd">) {
  const crew = await app.crew();
  const { db } = crew.context.store;
  const own = workspace === undefined ? app.request.env["MU_WORKSTREAM"] : undefined;
  const named =
    own === undefined
      ? await db
          .selectFrom("workstreams")
          .select("name")
          .where("name", "=", workspace ?? "")
          .executeTakeFirst()
      : await workstreamRow(db, own);
  const folder = resolve(app.request.cwd, workspace ?? "");
  const workstream = named?.name ?? (await workstreamOfFolder(crew, folder, app.request.remark));
  const { root } = (await db
    .selectFrom("workstreams")
    .select("root")
    .where("name", "=", workstream)
    .executeTakeFirst()) ?? { root: null };
  return { workstream, cwd: resolve(app.request.cwd, cwd ?? root ?? folder) };
}

/** How the conversation about a request is held; it knows mu's own skill, unless nobody wants that. */
export const turnWish = async (app: App, input: RequestInput, cwd: string): Promise<TurnWish> => ({
  cwd,
  provider: input.provider,
  model: input.model,
  thinking: input.thinking,
  skills: [...(input.noDefaultSkills ? [] : [await ownSkill(app)]), ...input.skill],
  session: input.piSession,
  command: input.piCommand,
  timeoutMs: input.piTimeoutSeconds * 1000,
});

async function ownSkill(app: App): Promise<string> {
  const path = join((await app.crew()).stateDir, "skills", "mu-orchestrator", "SKILL.md");
  await app.program.installSkill("mu-orchestrator", path);
  return path;
}

export const requestWish = (input: RequestInput) => ({
  route: input.route === "auto" ? undefined : (input.route as Route),
  intake: input.intake === "auto" ? undefined : (input.intake as IntakeKind),
  mode: input.millraceMode,
  timeoutMs: input.daemonTimeoutSeconds * 1000,
  maxRestarts: input.maxDaemonRestarts,
  notify: input.notifyTerminalStages,
  keep: input.keepDaemon,
});

const RESULT = z.object({ route: z.string(), output: z.string(), warnings: z.array(z.string()) }).loose();

export const run = defineOperation({
  name: "run",
  summary: "Have one request done, and print one answer",
  description:
    "An agent decides whether it does the request itself or delegates it as a probe, an idea or a task; delegated work runs in stages with tests and a check that it is done, and the agent writes the answer. Without words the request comes from standard input. Only scoped_completion says that the request is done. Exits 0 whatever the outcome, 1 where there is no answer, 2 on wrong usage.",
  effect: "write",
  acts: ["runs"],
  outward: true,
  endsLate: true,
  needs: ["stdin"],
  input: () => ({
    text: field(z.array(z.string()).default([]), "What is wanted", { value: "words" }),
    ...requestFields(),
    output: field(z.enum(["text", "json"]).default("text"), "What is printed"),
    benchmarkJson: flag("Read the request as JSON from standard input"),
  }),
  output: () => RESULT,
  positional: ["text"],
  examples: [
    { command: "mu run --route direct 'Summarize README.md'", shows: "an answer" },
    { command: "mu run --route direct ''", shows: "nothing that is wanted", fault: "intake.no_text" },
    { command: "mu run --route sideways 'Fix it'", shows: "an unknown route", fault: "usage.invalid_input" },
  ],
  run: async (app, input) => (await runRequest(app, input)) as never,
  follow: (app, input) => (input.output === "json" ? one(() => runRequest(app, input)) : undefined),
  render: (result) => (result as unknown as { output: string }).output,
});

async function* one<T>(make: () => Promise<T>): AsyncGenerator<T> {
  yield await make();
}

type RunInput = RequestInput & { text: string[]; output: "text" | "json"; benchmarkJson: boolean };

async function runRequest(app: App, input: RunInput): Promise<RequestResult> {
  try {
    return await carryOut(app, input);
  } catch (error) {
    const { code, message, nextSteps, details } = asFault(error);
    // Callers know 1 as the code of every failure but a wrong command line.
    throw new Fault("negative", code, message, [...nextSteps], details);
  }
}

async function carryOut(app: App, input: RunInput): Promise<RequestResult> {
  const given = input.benchmarkJson ? readLegacy(await stdin(app)) : undefined;
  const text = given?.text ?? (input.text.length > 0 ? input.text.join(" ") : await stdin(app));
  const workspace = input.workspace ?? given?.workspace;
  const { workstream, cwd } = await placeOf(app, { ...input, workspace });
  const wish = requestWish(input);
  const world = await requestWorld(app, workstream, await turnWish(app, input, cwd));
  try {
    const result = await handleRequest(world, {
      ...{ ...wish, text, intake: wish.intake ?? given?.intake },
      ...(given?.scope && { scope: given.scope }),
    });
    if (input.output === "text") for (const warning of result.warnings) app.request.remark(`warning: ${warning}`);
    return result;
  } finally {
    await world.end();
  }
}

async function stdin(app: App): Promise<string> {
  return (await app.request.stdin?.()) ?? "";
}

/** A request as the first callers wrote it. Faults `usage.not_json`. */
function readLegacy(text: string) {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Fault("usage", "usage.not_json", `Standard input is no JSON: ${(error as Error).message}.`);
  }
  if (!isObject(value)) throw new Fault("usage", "usage.not_json", "Standard input is no JSON object.");
  const metadata = isObject(value["metadata"]) ? value["metadata"] : {};
  const words = (key: string) => (typeof value[key] === "string" ? (value[key] as string) : undefined);
  const scope = [value["scoped_work_item"], value["work_item"], value["scope"], metadata["scoped_work_item"]].find(
    isObject,
  );
  const intake = value["intake_kind"] ?? metadata["intake_kind"];
  return {
    text: words("task") ?? words("prompt") ?? words("instructions") ?? "",
    workspace: words("workspace"),
    intake: INTAKE_KINDS.find((kind) => kind === intake),
    scope: scopedItem(scope),
  };
}

export const route = defineOperation({
  name: "route",
  summary: "Ask how a request would be handled, and do nothing",
  effect: "write",
  journalled: false,
  outward: true,
  endsLate: true,
  input: () => ({
    text: field(z.array(z.string().min(1)).min(1), "What is wanted", { value: "words" }),
    ...requestFields(),
  }),
  output: {
    route: ["direct", "millrace"],
    intake_kind: [INTAKE_KINDS, null],
    why: "string",
    mode: "string",
    custom_loop_needed: "boolean",
    signals: "string[]",
    notes: "string",
  },
  positional: ["text"],
  examples: [
    { command: "mu route 'Fix the tests'", shows: "what would be done with it" },
    { command: "mu route 'Fix the tests' --route sideways", shows: "an unknown route", fault: "usage.invalid_input" },
  ],
  async run(app, input) {
    const crew = await app.crew();
    const cwd = resolve(app.request.cwd, input.cwd ?? input.workspace ?? ".");
    const turns = await openTurns(crew, await turnWish(app, input, cwd));
    try {
      return parseDecision(await turns.ask(decisionPrompt(input.text.join(" ")), app.request.signal));
    } finally {
      await turns.close();
    }
  },
  render: (decision) => [
    `${decision.route}${decision.intake_kind === null ? "" : ` as ${decision.intake_kind}`}: ${decision.why}`,
    decision.custom_loop_needed && "A workflow of its own seems to be needed.",
  ],
});

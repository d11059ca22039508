import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import * as z from "zod";
import type { Crew } from "../src/agents/crew.js";
import { Fault, type NextStep } from "../src/errors.js";
import { execute } from "../src/operations/execute.js";
import { loadOperations } from "../src/operations/index.js";
import type { Operation } from "../src/operations/operation.js";
import { type Again, again } from "./support/again.js";
import { parseCommand } from "./support/command.js";
import type { Seeded } from "./support/seeded.js";
import { eventually } from "./support/tmux.js";

/**
 * Faults of a next step that are an answer: what its verb documents, no network, and a project in which `npm ci` has nothing
 * to install.
 */
const DOCUMENTED = ["task.none_ready", "pricing.unreachable", "setup.failed"];

/** Verbs whose next steps no story can bring about, and why. */
const UNTOLD: Readonly<Record<string, string>> = {
  "linear.import": "it asks a server, and none is here",
  "snapshot.prune": "nothing is old enough to go",
};

/** What a line of another program may begin with; nothing else is run here. */
const PROGRAMS = /^(ls|du|mv|rm|tmux|git|cd|command|\$\{EDITOR:-vi\}) /;

const operations = await loadOperations();

/** A line, and what the project is brought to before it runs. */
interface Story {
  line: string;
  before?: (app: Seeded, crew: Crew) => unknown;
}

const run = (line: string) => (app: Seeded) => perform(app, line);
const ended = (_: Seeded, crew: Crew) => crew.tmux.run([["kill-server"]]);

/** Lines beside the examples whose next step depends on the state that they leave. */
const MORE: Story[] = [
  { line: "mu task add later --title Later --blocked-by build" },
  { line: "mu task add held --title Held --hold review" },
  { line: "mu task add xmas --title Xmas --not-before 2999-12-25" },
  { line: "mu task add epic --title Epic --kind container" },
  { line: "mu task open deploy" },
  { line: "mu task close deploy --evidence ok" },
  { line: "mu task delete build --yes" },
  { line: "mu task wait deploy --timeout 1ms" },
  { line: "mu escalations", before: run("mu task escalate deploy 'which region?'") },
  { line: "mu dispatch --once", before: run("mu kill 'wait'") },
  { line: "mu dispatch --once", before: run("mu task escalate deploy 'which region?'") },
  { line: "mu agent wait helper" },
  { line: "mu agent close dirty", before: run("mu agent spawn dirty --cli shell --workspace --no-ready") },
  { line: "mu agent close dirty --discard-workspace", before: run("mu agent spawn dirty --cli shell --workspace") },
  { line: "mu workspace orphans", before: ({ folder }) => mkdirSync(join(folder, "workspaces", "demo", "lost")) },
  { line: "mu pricing show", before: keepOldPrices },
  { line: "mu workspace free nobody-1", before: run("mu workspace create nobody-1") },
  { line: "mu workspace refresh --all" },
  { line: "mu workspace refresh dirty" },
  { line: "mu salvage restore helper/1" },
  { line: "mu workstream destroy demo" },
  { line: "mu workstream destroy demo --yes" },
  { line: "mu land cart --dry-run" },
  { line: "mu land", before: run("mu land cart") },
  { line: "mu undo", before: run("mu land cart") },
  { line: "mu recover", before: ended },
  { line: "mu recover --yes", before: ended },
  { line: "mu reconcile", before: openStray },
  { line: "mu db upgrade --dry-run", before: fallBehind },
  { line: "mu doctor", before: loseFolder },
];

function fallBehind({ world }: Seeded): void {
  world.program.upgradeDatabase = async () => ({ location: "mu.db", pending: ["0002_more"] });
}

/** A pane with an agent CLI that belongs to no agent. */
async function openStray({ folder }: Seeded, { tmux }: Crew): Promise<void> {
  const file = join(folder, "codex");
  writeFileSync(file, `#!${process.execPath}\nsetInterval(() => {}, 1e6);\n`, { mode: 0o755 });
  const { pane } = await tmux.openPane({ session: "mu-demo", window: "w", cwd: folder, argv: [file] });
  await eventually("the stray", async () => (await tmux.listPanes()).some(({ id, pid }) => id === pane && pid > 0));
}

function keepOldPrices({ folder }: Seeded): void {
  const prices = { input: 1, output: 2, cache_write_5m: 1, cache_write_1h: 1, cache_read: 1 };
  const models = { one: prices, two: prices, three: prices };
  writeFileSync(join(folder, "pricing.json"), JSON.stringify({ updated_at: "2020-01-01T00:00:00Z", models }));
}

/** The project's folder is gone, and the caller is in another one. */
function loseFolder({ folder, request }: Seeded): void {
  rmSync(request.cwd, { recursive: true });
  request.cwd = join(folder, "moved");
  mkdirSync(request.cwd);
}

const suggests = ({ output }: Operation) =>
  JSON.stringify(z.toJSONSchema(output(), { unrepresentable: "any" })).includes('"nextSteps"');

/** The examples that may suggest something: those of such verbs, and what is refused. */
const told = operations.flatMap((operation): Story[] =>
  operation.examples
    .filter(({ fault }) => (fault === undefined ? suggests(operation) : !fault.startsWith("usage.")))
    .map(({ command: line }) => ({ line })),
);
/** The stories of each verb. */
const byVerb = new Map<string, Story[]>();
for (const story of [...told, ...MORE]) {
  const name = verbOf(story.line)?.name ?? story.line;
  byVerb.set(name, [...(byVerb.get(name) ?? []), story]);
}

type Kind = Parameters<typeof again>;

/** What must be there for a verb: tmux and git take seconds, and most verbs need neither. */
function kindOf({ line }: Story): Kind {
  const panes = /^mu (agent|adopt|delivery|recover|reconcile|workstream destroy demo)\b/.test(line);
  const workspaces =
    /^mu (agent (spawn|close|ensure)|workspace|salvage|land|review|undo|workstream destroy demo|recover)\b/.test(line);
  return [panes ? "with panes" : "without panes", workspaces ? "with workspaces" : "without workspaces"];
}

const projects = new Map<string, Again>();
afterAll(async () => {
  for (const project of projects.values()) await project.end();
});

function projectFor(kind: Kind): Again {
  const project = projects.get(kind.join()) ?? again(...kind);
  projects.set(kind.join(), project);
  return project;
}

function verbOf(line: string, { verb } = parseCommand(line)): Operation | undefined {
  return operations.find(({ name }) => name === verb.name);
}

async function perform(app: Seeded, line: string): Promise<{ nextSteps?: NextStep[] }> {
  const call = parseCommand(line);
  const { verb, input } = call;
  const operation = verbOf(line, call);
  if (operation === undefined) throw new Error(line);
  // A wait would wait, and prices would be fetched: that it begins is enough.
  const request =
    verb.name.endsWith(".wait") || (operation.outward && input["from"] === undefined)
      ? { ...app.request, signal: AbortSignal.abort() }
      : app.request;
  // The CLI that is spawned by default is a program that is there, and shows nothing that looks ready.
  const openCrew: Seeded["world"]["openCrew"] = async (...given) => {
    const crew = await app.world.openCrew(...given);
    return { ...crew, env: { ...crew.env, MU_PI_COMMAND: "sleep 1000", MU_RETRY_BACKOFF: "0" } };
  };
  const given = verb.name === "agent.spawn" ? { ...input, ready: false } : input;
  return (await execute(operation, given, { ...app.world, openCrew }, request)) as { nextSteps?: NextStep[] };
}

/** Whether a line may have changed the project. */
function changes(line: string): boolean {
  try {
    return verbOf(line)?.effect !== "read";
  } catch {
    return !/^(cd|command|tmux)\b/.test(line);
  }
}

/** Runs the line in a project as it was seeded, and gives that, and what it suggests. */
async function suggest(
  { line, before }: Story,
  project: Again,
): Promise<{ app: Seeded; steps: NextStep[]; worked: boolean }> {
  const seeded = await project.app();
  const { env, cwd } = seeded.request;
  const folders = { HOME: seeded.folder, MU_STATE_DIR: seeded.folder, MU_TMUX_SOCKET: join(seeded.folder, "tmux") };
  const program = { ...seeded.world.program };
  const app = {
    ...seeded,
    world: { ...seeded.world, program },
    request: { ...seeded.request, cwd, env: { ...env, ...folders } },
  };
  if (before !== undefined || changes(line)) project.changed();
  await before?.(app, await app.world.openCrew(app.context, app.request));
  try {
    return { app, steps: (await perform(app, line)).nextSteps ?? [], worked: true };
  } catch (error) {
    return { app, steps: error instanceof Fault ? [...error.nextSteps] : [], worked: false };
  }
}

const HELP = new Set(["mu --help", ...operations.map(({ name }) => `mu ${name.replace(".", " ")} --help`)]);
const PLACEHOLDER = /<[a-z][a-z/-]*>|'…'|\/path\/to\/\S+/;

/** How a suggested line ends when it is pasted: what is to be filled in has to be a line once it is. */
async function paste(app: Seeded, line: string, worked: boolean): Promise<string> {
  if (/undefined|NaN|\[object/.test(line)) return "has a hole";
  if (worked && /<[a-z]/.test(line)) return "a shell reads < as a redirect";
  const [, inner] = /^cd "\$\((mu .*)\)"$/.exec(line) ?? [];
  const command = (inner ?? line).replace(/^(\w+=\S+ )+/, "");
  if (!command.startsWith("mu ")) return pasteToShell(app, command);
  if (command.endsWith(" --help")) return HELP.has(command) ? "ok" : "no verb";
  if (PLACEHOLDER.test(line)) return verbOf(command.replaceAll(new RegExp(PLACEHOLDER, "g"), "x")) ? "ok" : "no verb";
  try {
    await perform(app, command);
    return "ok";
  } catch (error) {
    if (!(error instanceof Fault)) return String((error as Error).stack);
    return DOCUMENTED.includes(error.code) ? "ok" : `${error.code}: ${error.message}`;
  }
}

/** To attach needs a terminal: that the session is there is enough. To edit, that the file is. */
async function pasteToShell(app: Seeded, line: string): Promise<string> {
  if (!PROGRAMS.test(line)) return "a program that is not known here";
  const { exec, env } = await app.world.openCrew(app.context, app.request);
  const script = line.replace(/^(tmux .*)attach -t/, "$1has-session -t");
  const { code, stderr } = await exec("sh", ["-c", script], { cwd: app.request.cwd, env: { ...env, EDITOR: "ls" } });
  // That a program is not found is an answer, too.
  return code === 0 || line.startsWith("command -v ") ? "ok" : `exit ${code}: ${stderr}`;
}

/** Verbs of which a story ran that suggested something. */
const covered = new Set<string>();

it.each([...byVerb])("what mu %s suggests can be pasted", async (verb, stories) => {
  const found: string[][] = [];
  for (const story of stories) {
    const project = projectFor(kindOf(story));
    let { app, steps, worked } = await suggest(story, project);
    if (steps.length > 0) covered.add(verb);
    // Each step is one of several ways on and starts from where the line left the project; those that read go first.
    const writes = (at: number) => changes(steps[at]?.command ?? "");
    const order = [...steps.keys()].sort((a, b) => Number(writes(a)) - Number(writes(b)));
    for (const [place, at] of order.entries()) {
      if (place > 0 && writes(order[place - 1] as number)) ({ app, steps, worked } = await suggest(story, project));
      const command = steps[at]?.command ?? "undefined";
      found.push([story.line, command, await paste(app, command, worked)]);
      if (changes(command)) project.changed();
    }
  }
  expect(found.filter(([, , outcome]) => outcome !== "ok")).toEqual([]);
});

it("leaves out no verb that suggests something", () => {
  const names = operations.filter(suggests).map(({ name }) => name);
  expect(names.length).toBeGreaterThan(40);
  expect(names.filter((name) => !covered.has(name)).sort()).toEqual(Object.keys(UNTOLD).sort());
});

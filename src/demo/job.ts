import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Crew } from "../agents/crew.js";
import { runProgram } from "../checks.js";
import { STEP_NAMES } from "../flow/steps.js";
import { artifactPath } from "../jobs/folder.js";
import { getJob } from "../jobs/job.js";
import { SETTINGS_FILE } from "../project/read.js";
import { listRuns } from "../runs/run.js";
import { shape, type TypeOf } from "../shape.js";
import { quoteWord } from "../tmux/run.js";
import { initWorkstream } from "../workstreams/workstream.js";
import { type DemoWorld, demoInterrupted, readMain, refOf, type Scaffold, WORKSTREAM } from "./stage.js";
import { auditAll } from "./verdict.js";

/** What a job came to. */
export const JOB_PLAY = shape({
  job: "string",
  steps: [{ step: STEP_NAMES, outcome: "string | null", runs: "number" }],
  /** The tasks whose agent was not content: a review, and a test. */
  refused: "string[]",
  /** The text of report.md. */
  report: "string",
  landed: "boolean",
});

export type JobPlay = TypeOf<typeof JOB_PLAY>;

const JOB = "dark-mode";
const REFUSED = [`${JOB}-plan-review-1`, `${JOB}-work-test-1`];
const LONGEST_MS = 120_000;

/** All agents of the job: what each task's agent does and says. */
const AGENT = `#!/bin/sh
cat >/dev/null
sleep 0.3
save() { git add -A && git commit -qm "$1"; }
case $MU_TASK in
*-task-draft-*) echo 'The shop can be dark, for those who shop at night.' ;;
*-plan-draft-1) echo '1. theme.css has dark colours.' ;;
*-plan-draft-*) printf '1. theme.css has dark colours.\\n2. test.sh looks for them.\\n' ;;
*-plan-review-1) printf 'The plan has no test.\\n### FAIL\\n' ;;
*-plan-review-*) printf 'Good.\\n### PASS\\n' ;;
*-work-build-1) echo 'body { color: white }' >theme.css; echo 'grep background theme.css' >test.sh
  save 'Add a dark theme'; echo 'theme.css and test.sh are there.' ;;
*-work-build-*) echo 'body { color: white; background: black }' >theme.css
  save 'Make the background dark, too'; echo 'The background is dark, too.' ;;
*-work-test-*) printf 'I ran test.sh.\\n### PASS\\n' ;;
*-update-*) printf '# The shop\\n\\nIts colours are in theme.css.\\n' >_shop.md
  save 'Say where the colours are'; echo '_shop.md says where the colours are.' ;;
*-upgrade-*) mkdir -p .mu/rules/work; echo 'Run test.sh before you say that it is done.' >.mu/rules/work/_all.md
  save 'Learn to run the test'; echo 'Builders run the test from now on.' ;;
*-report-*) printf 'feat: add a dark mode\\n\\nThe theme is in theme.css, and test.sh looks at it.\\n' ;;
esac
`;

/** Takes one job through all six steps; its plan is refused once, its test fails once, and its work lands. */
export async function playJob(
  world: DemoWorld,
  crew: Crew,
  scaffold: Scaffold,
): Promise<{ job: JobPlay; problems: string[] }> {
  const { repository } = scaffold;
  await mkdir(join(repository, ".mu"), { recursive: true });
  const agent = join(repository, ".mu", "agent.sh");
  await writeFile(agent, AGENT);
  await chmod(agent, 0o700);
  const role = { cli: "command", command: quoteWord(agent), workspace: false };
  const roles = { builder: role, tester: role, reviewer: { ...role, access: "read-only" } };
  await writeFile(
    join(repository, SETTINGS_FILE),
    JSON.stringify({ projectName: "The shop", roles, jobs: { testCommand: "sh test.sh" } }, null, 2),
  );
  const { context } = crew;
  await initWorkstream(context, WORKSTREAM, { root: repository });
  world.report("One job, six steps, agents that are shell scripts, no API key, no network:\n");
  await line(world, crew, repository, ["job", "new", JOB, "--workspace"]);
  await line(world, crew, repository, ["job", "run", JOB, "all", "-i", "Add a dark mode", "--follow"]);
  const { db } = context.store;
  const { steps, landed } = await getJob(db, refOf(JOB));
  const runs = await listRuns(db, WORKSTREAM);
  const job: JobPlay = {
    job: JOB,
    steps: steps.map(({ step, outcome, runs: count }) => ({ step, outcome, runs: count })),
    refused: runs
      .filter(({ verdict }) => verdict === "fail")
      .map(({ task }) => task)
      .sort(),
    report: await readFile(join(repository, artifactPath(join(".mu", "jobs", JOB), "report")), "utf8").catch(() => ""),
    landed,
  };
  const { subjects } = await readMain(world.exec, scaffold);
  world.report(`\nOn main now:\n${subjects.map((subject) => `  ${subject}`).join("\n")}\n`);
  return { job, problems: problemsOf(job, (await context.store.read(auditAll)).ok) };
}

/** Types a line of mu for the person who watches, and shows what it says. */
async function line(world: DemoWorld, crew: Crew, cwd: string, words: readonly string[]): Promise<void> {
  world.report(`$ mu ${words.map((word) => (/^[\w-]+$/.test(word) ? word : quoteWord(word))).join(" ")}`);
  let rest = "";
  const { interrupted } = await runProgram(crew, {
    ...{ file: "mu", args: [...words, "-w", WORKSTREAM], cwd, env: { ...crew.databaseEnv, MU_HINTS: "0" } },
    ...{ timeoutMs: LONGEST_MS, signal: world.signal },
    onOutput(chunk) {
      const lines = (rest + Buffer.from(chunk).toString("utf8")).split("\n");
      rest = lines.pop() ?? "";
      for (const one of lines) world.report(`  ${one}`);
    },
  });
  if (interrupted) throw demoInterrupted();
  world.report(rest);
}

function problemsOf({ steps, refused, report, landed }: JobPlay, isChainWhole: boolean): string[] {
  const done = steps.filter(({ outcome }) => outcome === "done").map(({ step }) => step);
  return [
    ...(done.join() === STEP_NAMES.join() ? [] : [`steps that are done: ${done.join(", ") || "none"}`]),
    ...(refused.join() === REFUSED.join() ? [] : [`refused: ${refused.join(", ") || "nothing"}`]),
    ...(report.startsWith("feat: ") ? [] : ["the report is no commit message"]),
    ...(landed ? [] : ["the work did not land"]),
    ...(isChainWhole ? [] : ["the chain of events is broken"]),
  ];
}

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is how a player script names a variable
import type { PlanTask } from "../tasks/planned-tasks.js";

/** The goal of the plan. */
export const GOAL = "launch";

/** Tasks that build on others wait until those have landed on main. */
const landed = (...blockers: string[]) => blockers.map((name) => `${name}@landed`);

/**
 * Ten tasks for three agents: three are ready at once, `sketch` → `catalogue`, `checkout` → `assemble` is a diamond,
 * and only one agent can work at the end. `sketch` and `prices`
 * are for different roles and write into the same lines.
 */
export const PLAN: readonly PlanTask[] = [
  {
    name: "sketch",
    title: "Sketch the shop",
    role: "designer",
    impact: 90,
    effortDays: 0.5,
    touches: ["sketch.md", "README.md"],
  },
  { name: "prices", title: "Collect the prices", role: "builder", impact: 70, touches: ["prices.md", "README.md"] },
  { name: "hosting", title: "Choose a host", role: "builder", impact: 60 },
  { name: "catalogue", title: "Build the catalogue", blockedBy: landed("sketch", "prices"), effortDays: 2 },
  { name: "checkout", title: "Build the checkout", blockedBy: landed("sketch"), effortDays: 3 },
  { name: "photos", title: "Photograph the goods", blockedBy: landed("prices") },
  { name: "assemble", title: "Put catalogue and checkout together", blockedBy: landed("catalogue", "checkout") },
  { name: "manual", title: "Write the manual", blockedBy: landed("checkout"), effortDays: 0.5 },
  { name: "deploy", title: "Deploy the shop", blockedBy: landed("assemble", "hosting") },
  { name: GOAL, title: "Open the shop", impact: 100, blockedBy: landed("deploy", "manual", "photos") },
];

/** The two tasks that change the same line of the same file, in workspaces of different agents. */
export const RIVALS: readonly string[] = ["sketch", "prices"];

const CLAIM_THE_COVER = `case $task in ${RIVALS.join("|")}) printf '# The shop\\n\\n%s.\\n' "$title" >README.md;; esac`;
const KEEP_BOTH =
  "grep -Ev '^(<<<<<<<|=======|>>>>>>>)' README.md >both; mv both README.md; git add README.md; GIT_EDITOR=true git rebase --continue";

/** A player script as `player-script.ts` reads it. */
type Script = Readonly<Record<string, unknown>>;

/** An agent of the demo, and what it is scripted to do in each of its lives. */
export interface Part {
  name: string;
  role: string;
  /** The first incarnation plays the first script; the last one goes for all further ones. */
  scripts: readonly [Script, ...Script[]];
}

/** The prompt for a new agent, and the one for an agent that has work again. */
export const PROMPTS = {
  first:
    "Welcome. Take a task with `mu task claim --next`, do it, commit it and close it with a check; go on while you can.",
  again: "There is work again. Go on as before.",
} as const;

const NEW = "^Welcome";
/** How landing begins the prompt that gives a task back. */
const BACK = "^Your task demo/(\\S+) is OPEN again";

/** Start from what has landed since. On a conflict the work stays as it is; landing reports it. */
const refresh = { run: 'mu workspace refresh "$MU_AGENT"', mayFail: true };
const claim = { run: "mu task claim --next --json", keep: { task: "task.name", title: "task.title" } };
const begin = [refresh, claim, { say: "I took ${task}: ${title}." }, { work: 900 }];
const note = { run: 'mu task note "$task" "Wrote $task.md: $title"' };
const write = { run: `echo "$title" >"$task.md"; ${CLAIM_THE_COVER}` };
const save = { run: 'git add -A && git commit -qm "$title"' };
const close = { run: 'mu task close "$task" --check "test -s $task.md"' };
const finish = [note, write, { work: 400 }, save, close];

/** The task came back because of a conflict: keep both changes, as a person would. */
const putRight = {
  when: BACK,
  steps: [
    { run: 'mu task claim "$1" --json', keep: { task: "task.name" } },
    { say: "Another agent changed the same lines. I keep both changes." },
    { work: 600 },
    { run: `git rebase -q main || { ${KEEP_BOTH}; }` },
    close,
  ],
};

/** Works until nothing is ready for it. */
const rest = [{ loop: [...begin, ...finish] }, { say: "No task is ready for me." }];
const steady = { acts: [putRight, { steps: rest }] };

const asking = {
  acts: [
    { when: NEW, steps: [...begin, { permission: 'git commit -m "${title}"' }, ...finish, ...rest] },
    putRight,
    { steps: rest },
  ],
};

const doomed = {
  acts: [{ when: NEW, steps: [...begin, { run: 'mu task note "$task" "Half of it is done"' }, { crash: true }] }],
};

/** One asks for permission, one crashes during its first task, one just works. */
export const CAST: readonly Part[] = [
  { name: "ann", role: "designer", scripts: [asking, steady] },
  { name: "bob", role: "builder", scripts: [doomed, steady] },
  { name: "cleo", role: "builder", scripts: [steady] },
];

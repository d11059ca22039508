// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is how a player script names a variable

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

/** What an agent is told when it is new, and when there is work again. */
export const PROMPTS = {
  first:
    "Welcome. Take a task with `mu task claim --next`, do it, commit it and close it with a check; go on while you can.",
  again: "There is work again. Go on as before.",
} as const;

const NEW = "^Welcome";
/** How landing begins the prompt that gives a task back. */
const BACK = "^Your task demo/(\\S+) is OPEN again";

/** What has landed meanwhile comes in first. Work that clashes with it stays as it is: landing tells whose it is. */
const refresh = { run: 'mu workspace refresh "$MU_AGENT"', mayFail: true };
const claim = { run: "mu task claim --next --json", keep: { task: "task.name", title: "task.title" } };
const begin = [refresh, claim, { say: "I took ${task}: ${title}." }, { work: 900 }];
const note = { run: 'mu task note "$task" "Wrote $task.md: $title"' };
const write = { run: `echo "$title" >"$task.md"; ${CLAIM_THE_COVER}` };
const save = { run: 'git add -A && git commit -qm "$title"' };
const close = { run: 'mu task close "$task" --check "test -s $task.md"' };
const finish = [note, write, { work: 400 }, save, close];

/** It did not land because of what landed before it: both changes are kept, as a person would. */
const putRight = {
  when: BACK,
  steps: [
    { run: 'mu task claim "$1" --json', keep: { task: "task.name" } },
    { say: "Somebody else changed the same lines. Both changes stay." },
    { work: 600 },
    { run: `git rebase -q main || { ${KEEP_BOTH}; }` },
    close,
  ],
};

/** Works until nothing is ready for it. */
const rest = [{ loop: [...begin, ...finish] }, { say: "Nothing is ready for me now." }];
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

/** One asks for permission, one dies in the middle of its first task, one just works. */
export const CAST: readonly Part[] = [
  { name: "ann", role: "designer", scripts: [asking, steady] },
  { name: "bob", role: "builder", scripts: [doomed, steady] },
  { name: "cleo", role: "builder", scripts: [steady] },
];

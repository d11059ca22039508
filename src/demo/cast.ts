// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is how a player script names a variable

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
    "Welcome. Take a task with `mu task claim --next`, do it, note what you did and close it; go on while you can.",
  again: "There is work again. Go on as before.",
} as const;

const NEW = "^Welcome";

const claim = { run: "mu task claim --next --json", keep: { task: "task.name", title: "task.title" } };
const begin = [claim, { say: "I took ${task}: ${title}." }, { work: 900 }];
const note = { run: 'mu task note "$task" "Wrote $task.md: $title"' };
const save = { run: 'echo "$title" >"$task.md" && git save "$task.md" "$title"' };
const close = { run: 'mu task close "$task" --evidence "commit $(git log -1 --format=%h -- "$task.md")"' };
const finish = [note, { work: 400 }, save, close];

/** Works until nothing is ready for it. */
const rest = [{ loop: [...begin, ...finish] }, { say: "Nothing is ready for me now." }];
const steady = { acts: [{ steps: rest }] };

const asking = {
  acts: [
    { when: NEW, steps: [...begin, { permission: 'git save ${task}.md "${title}"' }, ...finish, ...rest] },
    { steps: rest },
  ],
};

const doomed = {
  acts: [{ when: NEW, steps: [...begin, { run: 'mu task note "$task" "Half of it is done"' }, { crash: true }] }],
};

/** One asks for permission, one dies in the middle of its first task, one just works. */
export const CAST: readonly Part[] = [
  { name: "ann", role: "builder", scripts: [asking, steady] },
  { name: "bob", role: "builder", scripts: [doomed, steady] },
  { name: "cleo", role: "builder", scripts: [steady] },
];

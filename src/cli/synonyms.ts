/** What people of other tools type, and the words of the verb that they mean. A word that mu knows itself is never replaced. */
const WHOLE = new Map(
  Object.entries({
    add: "task add",
    agents: "agent list",
    attach: "agent attach",
    claim: "task claim",
    close: "task close",
    cost: "budget",
    delete: "task delete",
    diff: "workspace list",
    done: "task close",
    events: "log",
    finish: "task close",
    history: "log",
    interrupt: "agent interrupt",
    kick: "agent kick",
    list: "task list",
    logs: "log",
    ls: "task list",
    merge: "land",
    new: "task add",
    next: "task next",
    note: "task note",
    notes: "task notes",
    open: "task open",
    ps: "agent list",
    read: "agent read",
    ready: "task next",
    release: "task release",
    restart: "agent restart",
    rm: "task delete",
    search: "task search",
    send: "agent send",
    show: "task show",
    spawn: "agent spawn",
    status: "state",
    tasks: "task list",
    tail: "log",
    tell: "agent send",
    tracks: "track list",
    tree: "task tree",
    wait: "task wait",
    watch: "log",
    whoami: "me",
    workspaces: "workspace list",
    workstreams: "workstream list",
  }),
);

/** The same behind a noun. */
const VERBS = new Map<string, readonly string[]>(
  Object.entries({
    create: ["add", "init", "spawn"],
    delete: ["delete", "destroy", "close", "free"],
    done: ["close"],
    finish: ["close"],
    get: ["show"],
    kill: ["close"],
    ls: ["list"],
    new: ["add", "init", "spawn", "create"],
    remove: ["delete", "destroy", "close", "free"],
    rm: ["delete", "destroy", "close", "free"],
    start: ["claim", "spawn"],
    stop: ["close"],
    view: ["show"],
  }),
);

/** The line with the words of the verb that is meant in place of those that mu does not know; the verb begins at `at`. */
export function expandSynonyms(
  argv: readonly string[],
  at: number,
  isKnown: (words: readonly string[]) => boolean,
): string[] {
  const [first = "", second = ""] = argv.slice(at);
  const replaced = (count: number, words: readonly string[]) => [
    ...argv.slice(0, at),
    ...words,
    ...argv.slice(at + count),
  ];
  if (!isKnown([first])) return replaced(1, WHOLE.get(first)?.split(" ") ?? argv.slice(at, at + 1));
  const verb = isKnown([first, second]) ? undefined : VERBS.get(second)?.find((word) => isKnown([first, word]));
  return verb === undefined ? [...argv] : replaced(2, [first, verb]);
}

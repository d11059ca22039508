import { shellWord } from "../names.js";

/** What people of other tools type, and the words of the verb that they mean. A word that mu knows itself is never replaced. */
const WHOLE = new Map(
  Object.entries({
    add: "task add",
    agents: "agent list",
    answer: "inbox answer",
    approve: "review approve",
    attach: "agent attach",
    claim: "task claim",
    close: "task close",
    cost: "budget",
    crew: "agent list",
    dashboard: "top",
    delete: "task delete",
    diff: "task diff",
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
    tui: "top",
    wait: "task wait",
    watch: "log",
    whoami: "me",
    workspaces: "workspace list",
    workstreams: "workstream list",
  }),
);

/** What other tools call what mu has a noun for. */
const NOUNS = new Map<string, string>(
  Object.entries({
    agents: "agent",
    crew: "agent",
    hook: "hooks",
    issue: "task",
    issues: "task",
    run: "runs",
    session: "workstream",
    tasks: "task",
    tracks: "track",
    workspaces: "workspace",
    workstreams: "workstream",
    worktree: "workspace",
  }),
);

/** Verbs behind a noun. */
const VERBS = new Map<string, readonly string[]>(
  Object.entries({
    add: ["create", "spawn", "init"],
    create: ["add", "init", "spawn"],
    delete: ["delete", "destroy", "close", "free"],
    done: ["close"],
    finish: ["close"],
    get: ["show"],
    kill: ["close"],
    logs: ["read", "history"],
    ls: ["list"],
    new: ["add", "init", "spawn", "create"],
    reopen: ["open"],
    remove: ["delete", "destroy", "close", "free"],
    rm: ["delete", "destroy", "close", "free"],
    start: ["claim", "spawn"],
    stop: ["close"],
    view: ["show"],
  }),
);

/**
 * What has no verb of that name, and the line to type in place of it. `$1` is the first word behind it, `<…>` what is to be
 * filled in where there is none.
 */
const INSTEAD = new Map<string, string>(
  Object.entries({
    "-v": "--version",
    assign: "task claim $1<task> --for $2<agent>",
    branch: "workspace list",
    checkout: "workspace path $1<agent>",
    commit: "task close $1<task>",
    config: "workstream show",
    down: "dispatch stop",
    exec: "agent send $1<agent> '…'",
    "kill-session": "agent close <agent>",
    "new-session": "agent spawn <name> --cli claude",
    pr: "land <task> --pr",
    pull: "workspace refresh <agent>",
    push: "land --push",
    revert: "land --revert $1<task>",
    run: "agent spawn $1<name> --cli claude",
    sessions: "workstream list",
    settings: "workstream show",
    start: "agent spawn $1<name> --cli claude",
    stop: "agent close $1<agent>",
    "task assign": "task claim $1<task> --for $2<agent>",
    "task depends": "task block $1<task> --by $2<task>",
    "task set": "task update $1<task>",
    "task status": "task show $1<task>",
    up: "dispatch",
    version: "--version",
    "workstream config": "workstream show",
    "workstream switch": "state -w $1<workstream>",
    "workstream use": "state -w $1<workstream>",
  }),
);

/** Flags of other tools and of other verbs, and those that may be meant by them, the likeliest first. */
const FLAGS = new Map<string, readonly string[]>(
  Object.entries({
    agent: ["for"],
    as: ["for"],
    closed: ["status"],
    count: ["limit"],
    force: ["override", "yes"],
    m: ["evidence", "reason", "description"],
    message: ["evidence", "reason", "description"],
    on: ["by", "onto"],
  }),
);

/** The line to type in place of one whose first words no verb has, without the word mu. */
export function insteadOf(line: readonly string[]): string | undefined {
  const [two, one] = [line.slice(0, 2).join(" "), line[0] ?? ""];
  const key = INSTEAD.has(two) ? two : one;
  const rest = line.slice(key === two ? 2 : 1);
  return INSTEAD.get(key)?.replace(/\$(\d)(<\w+>)/g, (_, place: string, unfilled: string) => {
    const word = rest[Number(place) - 1];
    return word === undefined || word.startsWith("-") ? unfilled : shellWord(word);
  });
}

/** The flags of `known` that may be meant by an unknown one: by what other tools call it, or that it is the beginning of. */
export function flagsFor(given: string, known: readonly string[]): string[] {
  const meant = FLAGS.get(given)?.find((flag) => known.includes(flag));
  return meant ? [meant] : known.filter((flag) => flag.startsWith(given)).slice(0, 3);
}

/** The line with the words of the verb that is meant in place of those that mu does not know; the verb begins at `at`. */
export function expandSynonyms(
  given: readonly string[],
  at: number,
  isKnown: (words: readonly string[]) => boolean,
): string[] {
  const before = given.slice(0, at);
  const [first, second = "", ...rest] = spelled(given.slice(at), isKnown);
  if (first === undefined) return [...given];
  const noun = isKnown([first]) ? first : NOUNS.get(first);
  const verb = noun === undefined ? undefined : [second, ...(VERBS.get(second) ?? [])].find((w) => isKnown([noun, w]));
  if (noun !== undefined && second !== "" && verb !== undefined) return [...before, noun, verb, ...rest];
  const whole = isKnown([first]) ? undefined : WHOLE.get(first)?.split(" ");
  return [...before, ...(whole ?? [first]), ...(given.slice(at).length > 1 ? [second, ...rest] : [])];
}

/** The words as mu spells them: without a `mu` that was pasted too, in lower case, `task.list` as two. */
function spelled(words: readonly string[], isKnown: (words: readonly string[]) => boolean): readonly string[] {
  const [first, ...rest] = words;
  if (first === undefined || isKnown([first])) return words;
  if (first === "mu") return spelled(rest, isKnown);
  const [second, ...others] = rest;
  const lower = first.toLowerCase();
  if (lower !== first && isKnown([lower]))
    return second !== undefined && isKnown([lower, second.toLowerCase()])
      ? [lower, second.toLowerCase(), ...others]
      : [lower, ...rest];
  const parts = lower.split(/[.:_-]/);
  return parts.length > 1 && isKnown(parts) ? [...parts, ...rest] : words;
}

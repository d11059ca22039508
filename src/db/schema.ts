import type { Generated, Kysely } from "kysely";
import type { StoredTask } from "./task-columns.js";

/** The columns of most rows. Timestamps are UTC ISO 8601 text with milliseconds. */
export interface Row {
  id: Generated<number>;
  created_at: string;
}

/** A status of an agent. */
export interface StatusColumns {
  id: Generated<number>;
  agent_id: number;
  status: string;
  reason: string | null;
  /** The authority that decided: hook, screen, process or person. */
  by: string;
  rule: string | null;
  /** JSON array of the lines that decided. */
  evidence: string | null;
  /** Since when it has this status. */
  at: string;
}

export interface Schema {
  workstreams: Row & {
    name: string;
    /** The project's folder on `host`, or null when the workstream belongs to none. */
    root: string | null;
    host: string | null;
    /** JSON object. */
    settings: string;
  };
  /** See `task-columns.ts`. */
  tasks: Row & StoredTask;
  task_edges: Row & {
    blocker_id: number;
    blocked_id: number;
    until: string;
  };
  task_notes: Row & {
    task_id: number;
    author: string;
    kind: string;
    text: string;
    rationale: string | null;
    /** Of a comment of a review: which round it belongs to, counted from 1, and where it is. */
    round: number | null;
    file: string | null;
    line: number | null;
    /** Null while it is open. */
    handled_at: string | null;
    handled_by: string | null;
  };
  agents: Row & {
    workstream_id: number;
    name: string;
    role: string | null;
    access: string;
    cli: string;
    command: string | null;
    host: string | null;
    /** As `Place` has them; null for a person, and for agents of before these columns. */
    boot: string | null;
    namespace: string | null;
    pane: string | null;
    server: string | null;
    /** The path of the server's socket. */
    socket: string | null;
    pid: number | null;
    window: string | null;
    session_ref: string | null;
    spawned_at: string;
    closed_at: string | null;
  };
  /** The last known status of an open agent; one row an agent, not journalled. */
  agent_status: StatusColumns & {
    /** Of the last screen looked at, to tell whether it changed. */
    screen_hash: string | null;
    /** When the screen was first seen as it is. */
    screen_at: string | null;
    /** What tmux said of the pane when its screen was read, as one text; of a shell, its line with nothing typed. */
    pane_facts: string | null;
    /** How far the agent's spool has been folded, in the spool's own words. */
    spool_offset: string;
    /** JSON: the newest normalised events of the agent's own feed. */
    feed: string | null;
    /** When the screen was last read, or the feed. */
    seen_at: string;
  };
  /** The history of statuses; pruned. */
  observations: StatusColumns;
  /** The outbox of prompts to panes. */
  deliveries: Row & {
    agent_id: number;
    workstream_id: number;
    agent: string;
    task_id: number | null;
    sender: string;
    text: string;
    text_hash: string;
    state: string;
    attempt: number;
    reason: string | null;
    /** JSON: how the pane looked before the paste, so that a later process can look for the proof. */
    baseline: string | null;
    /** When the text was last about to be typed; renewed while its sender is at work. */
    pasted_at: string | null;
    proved_at: string | null;
    updated_at: string;
  };
  /** A checkout of the project for one agent; it outlives the agent's incarnations. */
  workspaces: Row & {
    workstream_id: number;
    /** The agent's name. */
    agent: string;
    /** `git`, `jj`, `sl` or `none`. */
    backend: string;
    /** The repository, or the folder that was copied. */
    root: string;
    path: string;
    /** The commit that the workspace's own work begins behind; null for a copy. */
    base_ref: string | null;
    /** The branch that its work lands on; null where there is none. */
    branch: string | null;
    /** `creating` and `freeing` are intents: a crash leaves them, and the same verb finishes them. */
    state: string;
    freed_at: string | null;
  };
  /** Work that was saved before its workspace was deleted. It outlives its workstream, so it names it as text. */
  salvages: Row & {
    workstream: string;
    agent: string;
    /** Counts from 1 for every workspace of this name. */
    n: number;
    backend: string;
    root: string;
    /** The ref that holds it, or the path of its archive. */
    place: string;
    /** The commit that `place` points to; null for an archive. */
    commit_id: string | null;
    /** How many commits were not landed. */
    commits: number;
    /** How many files were not committed. */
    files: number;
    /** How many repositories inside had work of their own; null for none. */
    nested: number | null;
    /** How many ignored files it has; null for none. */
    ignored: number | null;
    /** JSON array of ignored files that were too large to save. */
    left_out: string | null;
    /** The verb that took the place away. */
    reason: string;
  };
  /** One invocation of an agent without a terminal. Amounts are whole millionths of a dollar. */
  runs: Row & {
    workstream_id: number;
    /** The slot that it works in. */
    agent_id: number;
    agent: string;
    /** The row id and the name of the task when the run was reserved: a run outlives its task. */
    task_id: number;
    task: string;
    /** Of its claim; a task that was claimed again is not this run's any more. */
    claim_generation: number;
    role: string;
    /** Counts from 1 since the task last succeeded or was requeued. */
    attempt: number;
    cli: string;
    model: string | null;
    access: string;
    /** What no other run may write to meanwhile: a track or the checkout; null for one that writes nothing. */
    writes: string | null;
    /** `pane` or `child`. */
    transport: string;
    state: string;
    /** The UTC day that it is booked on: that of its reservation. */
    day: string;
    reserved_micros: number;
    /** What it counts as; null while it is active, and where nothing is known. */
    cost_micros: number | null;
    /** What the vendor bills; null where that is unknown. */
    actual_micros: number | null;
    /** Where `cost_micros` comes from. */
    cost_basis: string | null;
    tokens_in: number | null;
    tokens_out: number | null;
    tokens_cache_read: number | null;
    tokens_cache_write: number | null;
    /** The process that answers for it: its starter, then its runner. */
    process: string;
    session_ref: string | null;
    exit_code: number | null;
    failure: string | null;
    reason: string | null;
    /** When the provider's limit ends. */
    retry_at: string | null;
    verdict: string | null;
    answer: string | null;
    started_at: string | null;
    finished_at: string | null;
  };
  /** A version of a file that a task has made. It outlives its task and its run, so it names them. */
  assets: Row & {
    workstream_id: number;
    /** From the project's folder or the agent's checkout of it; absolute for a file elsewhere. */
    path: string;
    kind: string;
    /** Counts from 1 for each path. */
    version: number;
    /** Of its content, hexadecimal. */
    sha256: string;
    bytes: number;
    task: string | null;
    agent: string;
    run: number | null;
  };
  /** What was said of a cap on a UTC day, each once. */
  budget_notices: Row & {
    workstream_id: number;
    day: string;
    /** `*` for the project. */
    role: string;
    /** `soft`: over the soft cap; `refused`: a run was not started for want of money; `breached`: over the cap. */
    kind: string;
    reason: string;
  };
  /** The loop that starts a workstream's runs; not journalled. */
  requests: Row & {
    key: string;
    /** SHA-256 of the request without its id. */
    body: string;
    request_id: string;
    action: string;
    /** Who answers it; whoever asks again takes over from one that is gone. */
    process: string;
    /** JSON; null while it is answered. */
    result: string | null;
    finished_at: string | null;
  };
  dispatchers: Row & {
    workstream_id: number;
    process: string;
    /** What it was asked for: `now` or `drain`; null to go on. */
    stop: string | null;
  };
  /** One run of a task's check command. */
  checks: Row & {
    task_id: number;
    author: string;
    command: string;
    /** Null when the timeout or a signal ended it. */
    exit_code: number | null;
    seconds: number;
    commit_id: string | null;
    /** The tree that was checked, uncommitted files included. */
    tree: string | null;
    /** The last 50 lines of its output. */
    tail: string;
  };
  /** A person's word that commands from a repository may run. */
  approvals: Row & {
    root: string;
    /** SHA-256 of what was approved. */
    hash: string;
    text: string;
    actor: string;
  };
  /** Ports that workspaces hold, unique on this machine; not journalled. */
  port_leases: Row & {
    port: number;
    workspace_id: number;
  };
  /** Who is changing a workspace right now: one process at a time; not journalled. */
  workspace_holds: Row & {
    workspace_id: number;
    /** `pid start token`: the process, and which of its holds it is. */
    holder: string;
    /** JSON: what the process that finishes it needs to know. */
    intent: string | null;
  };
  /** Work on its way to the target branch, one row a task; not journalled: the end is in the task's own row. */
  landings: Row & {
    workstream_id: number;
    task_id: number;
    /** What landed together carries one id. */
    batch: string;
    root: string;
    /** The branch that it lands on. */
    branch: string;
    state: string;
    /** The target's commit that the batch was put on. */
    onto: string | null;
    /** The work's own last commit there. */
    tip: string | null;
    /** The scratch checkout. */
    scratch: string;
    /** The process that lands it, as `pid start`. */
    process: string;
    reason: string | null;
    updated_at: string;
  };
  /** Which files a workspace changes against its target, and how far it is from it, as last seen; not journalled. */
  workspace_changes: {
    id: Generated<number>;
    workspace_id: number;
    /** JSON array of paths. */
    paths: string;
    /** Commits of the target that it lacks, and of its own that the target lacks. */
    behind: number | null;
    ahead: number | null;
    /** Files that are not committed. */
    dirty: number | null;
    seen_at: string;
  };
  /** Predicted collisions of two workspaces, or of one with its target; not journalled. */
  collisions: {
    id: Generated<number>;
    workstream_id: number;
    /** An agent's name. */
    a: string;
    /** Another agent's name, or null for the target. */
    b: string | null;
    /** JSON array of paths. */
    paths: string;
    since: string;
    seen_at: string;
  };
  /** A machine-wide collection of tasks that outlive their workstreams. */
  archives: Row & {
    label: string;
    description: string | null;
  };
  archived_tasks: Row & {
    archive_id: number;
    /** The name of the workstream that it was in. */
    workstream: string;
    name: string;
    /** JSON: the task with its blockers and notes, as `KEPT_TASK` says. */
    document: string;
    /** When the document last changed. */
    updated_at: string;
  };
  /** The words of tasks and archived tasks. Not journalled: they follow from the rows. */
  search_entries: {
    /** The id of a task; of an archived task with a minus, so that one index holds both. */
    id: number;
    /** Folded, in order, separated by blanks. */
    words: string;
  };
  /** How far the entries have followed each chain. */
  search_marks: {
    scope: string;
    n: number;
  };
  /** Large texts that no row has any more, by their hash: what undo puts back. Not journalled: the hash is in the chain. */
  texts: Row & {
    /** SHA-256 of its UTF-8 bytes, hexadecimal. */
    hash: string;
    text: string;
  };
  events: {
    id: Generated<number>;
    scope: string;
    n: number;
    group_id: string;
    at: string;
    actor: string;
    op: string;
    subject: string;
    payload: string;
    changes: string;
    prev_hash: string;
    hash: string;
  };
  chains: {
    id: Generated<number>;
    scope: string;
    head_n: number;
    head_hash: string;
  };
}

/** Anything that can answer a query: the store, or the transaction of a write. */
export type Reader = Kysely<Schema>;

import { existsSync } from "node:fs";
import { resolve } from "node:path";
import * as z from "zod";
import { DISCARDED, type Discarded, discardedBy, requireQuiet, restoreDatabase } from "../backup/restore.js";
import {
  deleteSnapshot,
  getSnapshot,
  listSnapshots,
  outlived,
  POLICY,
  SET_ASIDE,
  SNAPSHOT,
  type Snapshot,
} from "../backup/snapshots.js";
import { BACKUP, verifyBackup } from "../backup/verify.js";
import { fileAt } from "../db/sqlite/gate.js";
import { isOnServer } from "../db/store.js";
import { Fault } from "../errors.js";
import { counted, shellWord } from "../names.js";
import { backupLines, sizeText } from "./backup.js";
import { type App, defineOperation, listed, listOf, type Paint, step } from "./define.js";
import { durationField, field, flag, yesField } from "./fields.js";

export const snapshotList = defineOperation({
  name: "snapshot.list",
  summary: "List the snapshots of the database, newest first",
  description: `mu takes one before the first event of a verb that destroys something, and a restore sets the present database aside as one. ${POLICY}.`,
  effect: "read",
  output: listOf(SNAPSHOT),
  examples: [
    { command: "mu snapshot list", shows: "every snapshot" },
    { command: "mu snapshot list --deep", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  run: async (app) => listed(await listSnapshots(databaseOf(app))),
  next: ({ items: [newest] }) => (newest ? [step("Look into the newest", `mu snapshot show ${newest.id}`)] : []),
  render: ({ items }, paint) => snapshotTable(items, paint),
});

const sourceField = () => field(z.string().min(1), "Snapshot, by its id or the beginning of it, or a backup's file");

const SHOWN = { snapshot: [SNAPSHOT, null], backup: BACKUP, discards: DISCARDED } as const;

export const snapshotShow = defineOperation({
  name: "snapshot.show",
  summary: "Verify a snapshot, and show what restoring it would discard",
  effect: "read",
  input: () => ({ snapshot: sourceField() }),
  output: SHOWN,
  positional: ["snapshot"],
  examples: [
    { command: "mu snapshot show 5eed", shows: "what is in it, and what came after it" },
    { command: "mu snapshot show ffff", shows: "no such snapshot", fault: "snapshot.not_found" },
  ],
  run: async (app, { snapshot }) => look(app, snapshot),
  next: ({ snapshot, backup }) => [
    step("Preview the restore", `mu snapshot restore ${snapshot?.id ?? shellWord(backup.file)}`),
  ],
  render: ({ snapshot, backup, discards }, paint) => [
    snapshot && `${paint.bold(snapshot.id)}  ${paint.ago(snapshot.at)} ago, ${reasonOf(snapshot)}`,
    backupLines(backup, paint),
    discardLines(discards, "Restoring it would discard"),
  ],
});

/** How long a restore waits for commands that are still at work, in ms. */
const WAIT_MS = 5_000;

export const snapshotRestore = defineOperation({
  name: "snapshot.restore",
  summary: "Replace the database by a snapshot or a backup",
  description:
    "Without --yes it shows what would be discarded. The present database is set aside as a snapshot first, so that a restore is undone by another one. It refuses while a run, a dispatcher or another command is at work; those that only wait or follow continue with the new database. Panes, workspaces and files are not restored.",
  effect: "destroy",
  mends: true,
  input: () => ({ snapshot: sourceField(), yes: yesField() }),
  output: { ...SHOWN, restored: "boolean", aside: [SNAPSHOT, null] },
  positional: ["snapshot"],
  examples: [
    { command: "mu snapshot restore kept.db", shows: "what would be discarded" },
    { command: "mu snapshot restore ffff --yes", shows: "no such snapshot", fault: "snapshot.not_found" },
  ],
  async run(app, { snapshot: given, yes }) {
    if (yes) requirePerson(app, `mu snapshot restore ${shellWord(given)} --yes`);
    const { context } = app;
    const present = fileAt(databaseOf(app));
    const shown = await look(app, given);
    await requireQuiet(await app.crew(), context.store.db);
    if (!yes) return { ...shown, restored: false, aside: null };
    const database = context.store.location;
    await context.store.close();
    const { snapshot, backup } = shown;
    const { aside, discarded } = await restoreDatabase(database, {
      source: backup.file,
      name: snapshot?.id ?? backup.file,
      ...{ clock: context.clock, actor: context.actor, present, waitMs: WAIT_MS },
    });
    const kept = (await listSnapshots(database)).find(({ path }) => path === aside) ?? null;
    return { ...shown, discards: discarded, restored: true, aside: kept };
  },
  next({ snapshot, backup, restored, aside }) {
    const source = snapshot?.id ?? shellWord(backup.file);
    if (!restored) return [step("Restore it", `mu snapshot restore ${source} --yes`)];
    return [
      step("See which agents are gone", "mu reconcile --dry-run"),
      ...(aside ? [step("Undo the restore", `mu snapshot restore ${aside.id} --yes`)] : []),
    ];
  },
  render: ({ snapshot, backup, discards, restored, aside }, paint) => [
    `${restored ? "Restored" : "Would restore"} ${paint.bold(snapshot?.id ?? backup.file)}: ${counted(backup.tasks, "task")} in ${counted(backup.workstreams.length, "workstream")}`,
    discardLines(discards, restored ? "Discarded" : "Would discard"),
    aside && `  The database before it is kept as ${paint.bold(aside.id)}`,
    "  Panes and workspaces are not restored",
  ],
});

export const snapshotDelete = defineOperation({
  name: "snapshot.delete",
  summary: "Delete a snapshot for good",
  effect: "destroy",
  input: () => ({ snapshot: field(z.string().min(1), "Snapshot, by its id or the beginning of it"), yes: yesField() }),
  output: { snapshot: SNAPSHOT, deleted: "boolean" },
  positional: ["snapshot"],
  examples: [
    { command: "mu snapshot delete 5eed", shows: "what would be deleted" },
    { command: "mu snapshot delete ffff --yes", shows: "no such snapshot", fault: "snapshot.not_found" },
  ],
  async run(app, { snapshot: id, yes }) {
    const snapshot = await getSnapshot(databaseOf(app), id);
    if (yes) {
      requirePerson(app, `mu snapshot delete ${snapshot.id} --yes`);
      await deleteSnapshot(snapshot);
    }
    return { snapshot, deleted: yes };
  },
  next: ({ snapshot, deleted }) => (deleted ? [] : [step("Delete it", `mu snapshot delete ${snapshot.id} --yes`)]),
  render: ({ snapshot, deleted }, paint) =>
    `${deleted ? "Deleted" : "Would delete"} ${paint.bold(snapshot.id)} (${sizeText(snapshot.bytes)})`,
});

export const snapshotPrune = defineOperation({
  name: "snapshot.prune",
  summary: "Delete snapshots for good: those beyond the policy, old ones, or all",
  description: `Without flags it applies the policy that also applies after each new snapshot: ${POLICY}.`,
  effect: "destroy",
  input: () => ({
    olderThan: durationField("Those older than this, such as 7d").optional(),
    all: flag("All of them"),
    yes: yesField(),
  }),
  output: { ...listOf(SNAPSHOT), bytes: "number", deleted: "boolean" },
  examples: [
    { command: "mu snapshot prune --older-than 7d", shows: "what would be deleted" },
    { command: "mu snapshot prune --older-than soon", shows: "no length of time", fault: "usage.invalid_input" },
  ],
  async run(app, { olderThan, all, yes }) {
    const [kept, now] = [await listSnapshots(databaseOf(app)), app.context.clock.now()];
    const isOld = ({ at }: Snapshot) => all || now.getTime() - Date.parse(at) > (olderThan ?? Number.POSITIVE_INFINITY);
    const items = all || olderThan !== undefined ? kept.filter(isOld) : outlived(kept, now);
    if (yes) {
      requirePerson(app, "mu snapshot prune --yes");
      for (const one of items) await deleteSnapshot(one);
    }
    return { ...listed(items), bytes: items.reduce((sum, one) => sum + one.bytes, 0), deleted: yes };
  },
  next: ({ items, deleted }, { olderThan, all }) => {
    const age = olderThan === undefined ? "" : `--older-than ${olderThan / 1000}s `;
    const flags = `${all ? "--all " : age}--yes`;
    return deleted || items.length === 0 ? [] : [step("Delete them", `mu snapshot prune ${flags}`)];
  },
  render: ({ items, bytes, deleted }, paint) => [
    `${deleted ? "Deleted" : "Would delete"} ${counted(items.length, "snapshot")} (${sizeText(bytes)})`,
    !deleted && items.length > 0 && snapshotTable(items, paint),
  ],
});

/** The file of the database. Faults `backup.server`. */
function databaseOf({ context: { store } }: App): string {
  if (store.dialect === "postgres") throw isOnServer();
  return store.location;
}

/** A snapshot by its id, or a backup by its file, verified. Faults `snapshot.*`, `backup.*`. */
async function look(app: App, given: string) {
  const database = databaseOf(app);
  const file = resolve(app.request.cwd, given);
  const snapshot = await getSnapshot(database, given).catch((error) => {
    if (existsSync(file)) return null;
    throw error;
  });
  const backup = await verifyBackup(snapshot?.path ?? file);
  return { snapshot, backup, discards: await discardedBy(app.context.store.db, backup.chains) };
}

/** Refuses an agent what discards the work of others. Faults `snapshot.needs_person`. */
function requirePerson({ caller }: App, command: string): void {
  if (caller.kind === "person") return;
  const why = `${caller.name} is an agent. Only people can restore and delete snapshots.`;
  throw new Fault("conflict", "snapshot.needs_person", why, [step("Ask the person to run it", command)]);
}

const reasonOf = ({ before }: Snapshot) =>
  before === SET_ASIDE ? "set aside by a restore" : `before ${before.replaceAll(".", " ")}`;

function discardLines(discards: Discarded, verb: string): string[] {
  return discards.map(
    ({ scope, n, head, events }) =>
      `  ${verb} ${counted(events, "event")} of ${scope || "the machine"}: its head ${n} ${head.slice(0, 12)}`,
  );
}

function snapshotTable(items: readonly Snapshot[], paint: Paint): string {
  return paint.list(items, "No snapshots.", [
    { head: "snapshot", text: ({ id }) => id },
    { head: "when", text: ({ at }) => `${paint.ago(at)} ago` },
    { head: "why", text: reasonOf },
    { head: "size", text: ({ bytes }) => sizeText(bytes), align: "right" },
  ]);
}

import type { Operation } from "./operation.js";

type Loader = () => Promise<Operation>;

/** Every verb of mu and the module that holds it. A module is loaded when its verb runs. */
export const OPERATIONS: Readonly<Record<string, Loader>> = {
  "agent.adopt": () => import("./agent/adopt.js").then((m) => m.agentAdopt),
  "agent.attach": () => import("./agent/attach.js").then((m) => m.agentAttach),
  "agent.close": () => import("./agent/close.js").then((m) => m.agentClose),
  "agent.ensure": () => import("./agent/ensure.js").then((m) => m.agentEnsure),
  "agent.explain": () => import("./agent/explain.js").then((m) => m.agentExplain),
  "agent.focus": () => import("./agent/focus.js").then((m) => m.agentFocus),
  "agent.free": () => import("./agent/free.js").then((m) => m.agentFree),
  "agent.kick": () => import("./agent/kick.js").then((m) => m.agentKick),
  "agent.list": () => import("./agent/list.js").then((m) => m.agentList),
  "agent.poll": () => import("./agent/poll.js").then((m) => m.agentPoll),
  "agent.read": () => import("./agent/read.js").then((m) => m.agentRead),
  "agent.reap-idle": () => import("./agent/reap-idle.js").then((m) => m.agentReapIdle),
  "agent.rename": () => import("./agent/rename.js").then((m) => m.agentRename),
  "agent.restart": () => import("./agent/restart.js").then((m) => m.agentRestart),
  "agent.send": () => import("./agent/send.js").then((m) => m.agentSend),
  "agent.show": () => import("./agent/show.js").then((m) => m.agentShow),
  "agent.spawn": () => import("./agent/spawn.js").then((m) => m.agentSpawn),
  "agent.wait": () => import("./agent/wait.js").then((m) => m.agentWait),
  "audit.head": () => import("./audit/head.js").then((m) => m.auditHeadOperation),
  "audit.verify": () => import("./audit/verify.js").then((m) => m.auditVerify),
  complete: () => import("./complete.js").then((m) => m.complete),
  completion: () => import("./completion.js").then((m) => m.completion),
  "db.upgrade": () => import("./db/upgrade.js").then((m) => m.dbUpgrade),
  "delivery.cancel": () => import("./delivery/cancel.js").then((m) => m.deliveryCancel),
  "delivery.drain": () => import("./delivery/drain.js").then((m) => m.deliveryDrain),
  "delivery.list": () => import("./delivery/list.js").then((m) => m.deliveryList),
  "delivery.retry": () => import("./delivery/retry.js").then((m) => m.deliveryRetry),
  "delivery.show": () => import("./delivery/show.js").then((m) => m.deliveryShow),
  doctor: () => import("./doctor.js").then((m) => m.doctor),
  "hooks.install": () => import("./hooks/install.js").then((m) => m.hooksInstall),
  "hooks.status": () => import("./hooks/status.js").then((m) => m.hooksStatusOperation),
  "hooks.uninstall": () => import("./hooks/uninstall.js").then((m) => m.hooksUninstall),
  log: () => import("./log.js").then((m) => m.log),
  mcp: () => import("./mcp.js").then((m) => m.mcp),
  me: () => import("./me/me.js").then((m) => m.me),
  "me.next": () => import("./me/next.js").then((m) => m.meNext),
  "me.tasks": () => import("./me/tasks.js").then((m) => m.meTasks),
  prime: () => import("./prime.js").then((m) => m.prime),
  reconcile: () => import("./reconcile.js").then((m) => m.reconcile),
  recover: () => import("./recover.js").then((m) => m.recover),
  schema: () => import("./schema.js").then((m) => m.schema),
  "skill.install": () => import("./skill/install.js").then((m) => m.skillInstall),
  sql: () => import("./sql.js").then((m) => m.sql),
  state: () => import("./state.js").then((m) => m.state),
  "task.add": () => import("./task/add.js").then((m) => m.taskAdd),
  "task.apply": () => import("./task/apply.js").then((m) => m.taskApply),
  "task.block": () => import("./task/block.js").then((m) => m.taskBlock),
  "task.claim": () => import("./task/claim.js").then((m) => m.taskClaim),
  "task.close": () => import("./task/close.js").then((m) => m.taskClose),
  "task.defer": () => import("./task/defer.js").then((m) => m.taskDefer),
  "task.delete": () => import("./task/delete.js").then((m) => m.taskDelete),
  "task.edit": () => import("./task/edit.js").then((m) => m.taskEdit),
  "task.history": () => import("./task/history.js").then((m) => m.taskHistoryOperation),
  "task.list": () => import("./task/list.js").then((m) => m.taskList),
  "task.move": () => import("./task/move.js").then((m) => m.taskMove),
  "task.next": () => import("./task/next.js").then((m) => m.taskNext),
  "task.note": () => import("./task/note.js").then((m) => m.taskNote),
  "task.notes": () => import("./task/notes.js").then((m) => m.taskNotes),
  "task.open": () => import("./task/open.js").then((m) => m.taskOpen),
  "task.owned-by": () => import("./task/owned-by.js").then((m) => m.taskOwnedBy),
  "task.reject": () => import("./task/reject.js").then((m) => m.taskReject),
  "task.release": () => import("./task/release.js").then((m) => m.taskRelease),
  "task.reparent": () => import("./task/reparent.js").then((m) => m.taskReparent),
  "task.search": () => import("./task/search.js").then((m) => m.taskSearch),
  "task.show": () => import("./task/show.js").then((m) => m.taskShow),
  "task.tree": () => import("./task/tree.js").then((m) => m.taskTreeOperation),
  "task.unblock": () => import("./task/unblock.js").then((m) => m.taskUnblock),
  "task.update": () => import("./task/update.js").then((m) => m.taskUpdate),
  "task.wait": () => import("./task/wait.js").then((m) => m.taskWait),
  "track.list": () => import("./track/list.js").then((m) => m.trackList),
  undo: () => import("./undo.js").then((m) => m.undo),
  "workstream.destroy": () => import("./workstream/destroy.js").then((m) => m.workstreamDestroy),
  "workstream.init": () => import("./workstream/init.js").then((m) => m.workstreamInit),
  "workstream.list": () => import("./workstream/list.js").then((m) => m.workstreamList),
  "workstream.rename": () => import("./workstream/rename.js").then((m) => m.workstreamRename),
  "workstream.show": () => import("./workstream/show.js").then((m) => m.workstreamShow),
};

/** The verb `name`, or undefined. */
export async function findOperation(name: string): Promise<Operation | undefined> {
  return Object.hasOwn(OPERATIONS, name) ? OPERATIONS[name]?.() : undefined;
}

/** All verbs, sorted by name. */
export function loadOperations(): Promise<Operation[]> {
  const byName = Object.entries(OPERATIONS).sort(([a], [b]) => (a < b ? -1 : 1));
  return Promise.all(byName.map(([, load]) => load()));
}

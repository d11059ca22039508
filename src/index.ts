/**
 * The SDK: mu's core as functions. Names go in, rows come out, expected failures are `Fault`s.
 *
 * ```ts
 * const store = await openStore({ path: databasePath(process.env) });
 * const context: Context = { store, clock: systemClock, actor: "me" };
 * await claimNext(context, "shop", { person: "me" });
 * ```
 */

export type { Claimant } from "./agents/agent.js";
export type { ModelUsage } from "./agents/clis/headless.js";
export { type Crew, processCrew } from "./agents/crew.js";
export {
  type Addition as ArchiveAddition,
  type Archive,
  type ArchivedTask,
  type ArchiveRestoration,
  addToArchive,
  createArchive,
  deleteArchive,
  getArchive,
  listArchives,
  readArchive,
  removeFromArchive,
  restoreArchive,
  searchArchives,
} from "./archives.js";
export { type Clock, systemClock } from "./clock.js";
export { type Context, newGroup, timestamp } from "./db/context.js";
export { type Change, eventHash, GENESIS_HASH } from "./db/events.js";
export { type Address, openStore } from "./db/open.js";
export type { Reader } from "./db/schema.js";
export { rebuildIndex } from "./db/search/index-entries.js";
export { checkIndex, type IndexReport } from "./db/search/search.js";
export type { Store } from "./db/store.js";
export { putBrakeOn, type Reach, takeBrakeOff } from "./dispatch/brake.js";
export { type Budget, type BudgetLine, readBudget } from "./dispatch/budget.js";
export type { Wait, WaitCode } from "./dispatch/decide.js";
export { brakeReason, type Scene } from "./dispatch/facts.js";
export type { LoopResult } from "./dispatch/loop.js";
export { beginRun, endRun, type OnceOptions, type RunEnd } from "./dispatch/once.js";
export { type Report, readReport, reportText } from "./dispatch/report.js";
export { readScene } from "./dispatch/scene.js";
export { EXIT_CODES, Fault, type FaultKind, type NextStep } from "./errors.js";
export { dispatchOnce } from "./jobs/once.js";
export { auditHead, type ChainHead, type ChainReport, verifyChains } from "./journal/audit.js";
export { followLog, type LogEntry, type LogFilter, type LogRange, readLog, writeMessage } from "./journal/log.js";
export { compareTables, type Difference, foldEvents } from "./journal/replay.js";
export { querySql, writeSql } from "./journal/sql.js";
export {
  type InverseChange,
  listUndoable,
  newestUndoable,
  previewUndo,
  type UndoGroup,
  type UndoPreview,
  undoGroup,
} from "./journal/undo/undo.js";
export type { AgentRef, TaskRef } from "./names.js";
export { databasePath, stateFolder } from "./paths.js";
export { type Basis, costOf, type PriceSources } from "./pricing/cost.js";
export { type PriceTable, pricingAge, readPriceTable } from "./pricing/table.js";
export {
  authMode,
  type HeldSettings,
  projectEnv,
  readSettings as readProjectSettings,
  settingsOf,
} from "./project/read.js";
export { DEFAULT_ROLE, DEFAULT_SETTINGS, type ProjectSettings, type Role, type RunCli } from "./project/settings.js";
export { redact, redactStream, secretsIn } from "./redact.js";
export { type AuthMode, credentialsPath, isolateConfig, type SignIn, signInOf } from "./runs/auth.js";
export { listRuns, type Run, type RunState } from "./runs/run.js";
export type { Settled } from "./runs/settle.js";
export { readState, type State, type StateOptions } from "./state.js";
export { type Addition, addTask, type NewTask } from "./tasks/add.js";
export { type Claim, type ClaimNextOptions, type ClaimOptions, claimNext, claimTask } from "./tasks/claim.js";
export { deleteTask, previewDelete } from "./tasks/delete.js";
export {
  blockersOf,
  blockTask,
  dependentsOf,
  type EdgeChange,
  type Neighbour,
  type Reparenting,
  reparentTask,
  unblockTask,
} from "./tasks/graph.js";
export { type HistoryEntry, taskHistory } from "./tasks/history.js";
export {
  type CloseOptions,
  type Closing,
  closeTask,
  deferTask,
  openTask,
  previewCascade,
  rejectTask,
  releaseTask,
  type StatusChange,
  type Sweep,
  type SweepOptions,
} from "./tasks/lifecycle.js";
export { moveTask } from "./tasks/move.js";
export { addNote, listNotes, type NewNote, type Note, type NoteFilter } from "./tasks/notes.js";
export { type Application, type ApplyOptions, applyPlan } from "./tasks/plan.js";
export type { Plan, PlanTask } from "./tasks/planned-tasks.js";
export { type PlanDocument, parsePlan } from "./tasks/planned-tasks.js";
export { listReady, type ReadyFilter, type ReadyTask } from "./tasks/ready.js";
export { type SearchOptions, searchTasks } from "./tasks/search.js";
export {
  findTask,
  getTask,
  listTasks,
  type Task,
  type TaskFilter,
  type TaskSort,
  type TaskStatus,
} from "./tasks/task.js";
export { type TaskTree, type TreeItem, type TreeOptions, taskTree } from "./tasks/tree.js";
export { type TaskUpdate, type Update, updateTask } from "./tasks/update.js";
export { type WaitOptions, type WaitResult, waitForTasks } from "./tasks/wait.js";
export { computeTracks, listTracks, type Track } from "./tracks.js";
export { type Finish, type FinishOptions, finishTask } from "./work/finish.js";
export {
  changeSetting,
  destroyWorkstream,
  getSettings,
  getWorkstream,
  initWorkstream,
  listWorkstreams,
  renameWorkstream,
  type SettingChange,
  type Workstream,
  type WorkstreamSummary,
} from "./workstreams/workstream.js";

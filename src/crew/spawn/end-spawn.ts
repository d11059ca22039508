import type { Crew } from "../../agents/crew.js";
import { removeFiles, transcriptPath } from "../../agents/incarnation-files.js";
import { isProgramOf, panesMarkedFor } from "../../agents/own-pane.js";
import { readTail } from "../../agents/transcript.js";
import { type RowOf, write } from "../../db/write.js";
import { Fault } from "../../errors.js";
import { type AgentRef, qualifiedName, quote } from "../../names.js";
import { endProcessTree } from "../../processes.js";
import type { Death, OpenedPane } from "../../tmux/open.js";
import { retireAgent } from "../retire.js";

/** Faults after which there cannot be a pane, so that nobody has to look for one. */
const NOTHING_OPENED = new Set([
  "tmux.not_installed",
  "tmux.too_old",
  "tmux.command_too_long",
  "tmux.unreachable",
  "pane.no_space",
]);

/**
 * Takes back a spawn that failed: its processes, its pane, then its row and files. Where the pane cannot be taken
 * away the row stays open as it is, so that reconcile finds both.
 */
export async function endSpawn(
  crew: Crew,
  ref: AgentRef,
  row: RowOf<"agents">,
  { opened, error }: { opened: OpenedPane | undefined; error: unknown },
): Promise<void> {
  const code = error instanceof Fault ? error.code : "internal";
  try {
    if (!NOTHING_OPENED.has(code)) await removePanes(crew, row, opened);
    const spec = { op: "agent.spawn", scope: ref.workstream, subject: qualifiedName(ref), payload: { failed: code } };
    await write(crew.context, spec, (tx) =>
      retireAgent(tx, row.id, { author: crew.context.actor, note: `${ref.name} was not started (${code}).` }),
    );
    await removeFiles(crew.stateDir, row);
  } catch {
    // The fault that ended the spawn is the one to tell; what is left is a half spawn.
  }
}

async function removePanes(crew: Crew, row: RowOf<"agents">, opened: OpenedPane | undefined): Promise<void> {
  const panes = panesMarkedFor(row, await crew.tmux.listPanes());
  const roots = panes.filter((pane) => !pane.dead).map((pane) => pane.pid);
  if (roots.length === 0 && opened !== undefined && (await isProgramOf(crew, row, opened.pid))) roots.push(opened.pid);
  for (const pid of roots) await endProcessTree(crew, { pid }, { graceMs: 1_000 });
  for (const pane of panes) await crew.tmux.killPane(pane.id);
}

/** The fault for a program that ended before it was confirmed, with its last words. */
export async function died(crew: Crew, row: RowOf<"agents">, death: Death): Promise<Fault> {
  const lines = death.lines.length > 0 ? death.lines : await readTail(transcriptPath(crew.stateDir, row), 50);
  const { status, signal } = death;
  const how = signal ? `by signal ${signal}` : status === undefined ? "with its pane" : `with status ${status}`;
  const words = lines.slice(-10).map((line) => `\n  ${line}`);
  return new Fault(
    "unavailable",
    "agent.died",
    `${quote(row.name)} ended ${how} as soon as it was started${words.length > 0 ? `:${words.join("")}` : "."}`,
    [
      { intent: "Try its command by hand", command: row.command ?? "sh" },
      { intent: "Start something else", command: `mu agent spawn ${row.name} --command '…'` },
    ],
    { status: status ?? null, signal: signal ?? null, lines, command: row.command },
  );
}

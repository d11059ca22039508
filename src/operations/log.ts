import * as z from "zod";
import { localTime } from "../clock.js";
import { followLog, LOG_ENTRY, type LogEntry, readLog, writeMessage } from "../journal/log.js";
import type { App } from "./app.js";
import { allField, field, flag, type InputOf, limitField, optionalText, workstreamField } from "./fields.js";
import { defineOperation, listed, NEXT_STEPS, step } from "./operation.js";
import type { Paint } from "./paint.js";
import { findWorkstream, resolveScope, resolveWorkstream } from "./resolve.js";
import { schemaOf } from "./schema-of.js";

const logFields = () => ({
  text: field(z.string().min(1).max(65_536).optional(), "Message to write"),
  workstream: workstreamField(),
  all: allField(),
  as: field(z.string().max(64).optional(), "Write under another name", { value: "name" }),
  kind: field(
    z.string().min(1).max(64).optional(),
    "Only this kind: event, message or another word; when writing, the message's kind",
  ),
  limit: limitField(50, "Only the newest; 0 means all", { aliases: ["lines"] }),
  since: field(z.number().int().min(0).optional(), "Only entries after this number"),
  source: optionalText("Only entries by this agent or person", { completes: "agent" }),
  follow: flag("Print new entries as they arrive", { aliases: ["tail"] }),
});

type LogFilters = Pick<InputOf<typeof logFields>, "workstream" | "all" | "since" | "source" | "kind">;

export const log = defineOperation({
  name: "log",
  summary: "Read or follow the log, or write a message to it",
  description:
    "With a text it writes a message; without one it prints the newest entries, oldest first. --follow runs until Ctrl-C; with --json it prints one object per line.",
  effect: "write",
  writes: ({ text }) => text !== undefined,
  input: logFields,
  output: () =>
    z.union([schemaOf({ items: [LOG_ENTRY], count: "number" }), schemaOf({ entry: LOG_ENTRY, nextSteps: NEXT_STEPS })]),
  positional: ["text"],
  examples: [
    { command: "mu log -n 20", shows: "the last twenty entries" },
    { command: "mu log 'Freeze until Monday' --kind decision", shows: "write a message" },
    { command: "mu log --since soon", shows: "not a number", fault: "usage.invalid_input" },
  ],
  async run(app, { text, as, limit, ...input }) {
    if (text === undefined) {
      return listed(await readLog(app.context.store.db, { ...(await filterOf(app, input)), limit }));
    }
    const scope = await resolveWorkstream(app, input.workstream);
    const context = as === undefined ? app.context : { ...app.context, actor: as };
    const entry = await writeMessage(context, scope, { text, kind: input.kind });
    return { entry, nextSteps: [step("Read the log", `mu log -w ${scope}`)] };
  },
  follow: (app, { text, follow, limit, as: _, ...input }) =>
    follow && text === undefined ? following(app, input, limit) : undefined,
  render: (result, paint) => ("entry" in result ? `Logged #${result.entry.id}` : entryTable(result.items, paint)),
  renderFollowed: (entry: LogEntry, paint) => entryLine(entry, paint),
});

async function* following(app: App, input: LogFilters, limit: number): AsyncIterable<LogEntry> {
  yield* followLog(app.context, { ...(await filterOf(app, input)), limit }, app.request.signal);
}

async function filterOf(app: App, { all, workstream, since, source, kind }: LogFilters) {
  const scope = all ? undefined : await findWorkstream(app, workstream);
  if (workstream !== undefined) await resolveScope(app, workstream);
  return { workstream: scope, sinceId: since, source, kind };
}

/** Entries as lines, or a line that says there are none. */
export function entryTable(entries: readonly LogEntry[], paint: Paint): string {
  return entries.length === 0 ? "The log is empty." : entries.map((entry) => entryLine(entry, paint)).join("\n");
}

function entryLine(entry: LogEntry, paint: Paint): string {
  const kind = entry.kind === "event" ? "" : `${paint.dim(`[${entry.kind}]`)} `;
  return `${paint.dim(`#${entry.id} ${localTime(entry.at)}`)}  ${paint.bold(entry.source)}  ${kind}${entry.text}  ${paint.dim(entry.workstream ?? "")}`.trimEnd();
}

import * as z from "zod";
import { localTime } from "../clock.js";
import { followLog, LOG_ENTRY, type LogEntry, readLog, writeMessage } from "../journal/log.js";
import { BEGAN, oneForEachThing } from "../journal/sentences.js";
import { defineOperation, listed, listOf, type Paint, step } from "./define.js";
import { allField, field, flag, type InputOf, limitField, personField, workstreamField } from "./fields.js";

const logFields = () => ({
  workstream: workstreamField("any", { past: true }),
  all: allField(),
  kind: field(z.string().min(1).max(64).optional(), "Only this kind: event, message or another word"),
  limit: limitField(50, "Only the newest; 0 means all", { aliases: ["lines"] }),
  since: field(z.number().int().min(0).optional(), "Only entries after this number"),
  source: personField("Only entries by this agent or person").optional(),
  follow: flag("Print new entries as they arrive", { aliases: ["tail"] }),
});

type LogFilters = Pick<InputOf<typeof logFields>, "workstream" | "since" | "source" | "kind">;

export const log = defineOperation({
  name: "log",
  summary: "Read or follow the log",
  description:
    "Prints the newest entries, oldest first. --follow runs until Ctrl-C; with --json it prints one object per line.",
  effect: "read",
  input: logFields,
  output: listOf(LOG_ENTRY),
  examples: [
    { command: "mu log -n 20", shows: "the last twenty entries" },
    { command: "mu log --source ann", shows: "what ann did" },
    { command: "mu log --since soon", shows: "not a number", fault: "usage.invalid_input" },
  ],
  run: async (app, { limit, ...input }) => listed(await readLog(app.context.store.db, { ...filterOf(input), limit })),
  follow: ({ context, request }, { follow, limit, ...input }) =>
    follow ? followLog(context, { ...filterOf(input), limit }, request.signal) : undefined,
  render: ({ items }, paint) => entryTable(oneForEachThing(items), paint),
  renderFollowed: (entry: LogEntry, paint) => (entry.text.startsWith(BEGAN) ? "" : entryLine(entry, paint)),
});

function filterOf({ workstream, since, source, kind }: LogFilters) {
  return { workstream, sinceId: since, source: source?.name, kind };
}

/** Entries as lines, or a line that says there are none. */
export function entryTable(entries: readonly LogEntry[], paint: Paint): string {
  return entries.length === 0 ? "The log is empty." : entries.map((entry) => entryLine(entry, paint)).join("\n");
}

function entryLine(entry: LogEntry, paint: Paint): string {
  const kind = entry.kind === "event" ? "" : `${paint.dim(`[${entry.kind}]`)} `;
  return `${paint.dim(`#${entry.id} ${localTime(entry.at)}`)}  ${paint.bold(entry.source)}  ${kind}${entry.text}  ${paint.dim(entry.workstream ?? "")}`.trimEnd();
}

export const logWrite = defineOperation({
  name: "log.write",
  summary: "Write a message to the log",
  effect: "write",
  input: () => ({
    text: field(z.string().min(1).max(65_536), "Message to write"),
    workstream: workstreamField(),
    as: personField("Write under another name", { value: "name" }).optional(),
    kind: field(z.string().min(1).max(64).optional(), "Kind of message: any word but event"),
  }),
  output: { entry: LOG_ENTRY },
  positional: ["text"],
  examples: [
    { command: "mu log write 'Freeze until Monday' --kind decision", shows: "a decision that everyone can read" },
    { command: "mu log write hello --kind event", shows: "a kind that is mu's own", fault: "log.invalid_kind" },
  ],
  async run(app, { text, workstream: scope, as, kind }) {
    const context = as === undefined ? app.context : { ...app.context, actor: as.name };
    return { entry: await writeMessage(context, scope, { text, kind }) };
  },
  next: (_, { workstream }) => [step("Read the log", `mu log -w ${workstream}`)],
  render: ({ entry }) => `Logged #${entry.id}`,
});

import * as z from "zod";
import { LOG_ENTRY, writeMessage } from "../../journal/log.js";
import { defineOperation, step } from "../define.js";
import { field, personField, workstreamField } from "../fields.js";

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

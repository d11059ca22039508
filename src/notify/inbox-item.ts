import { shape, type TypeOf } from "../shape.js";

/** Something that waits for a person. */
export const INBOX_ITEM = shape({
  /** Stays the same as long as the question does. */
  id: "string",
  workstream: "string",
  kind: ["permission", "input", "brake", "held", "check", "budget"],
  /** The agent, task, role or workstream that it is about. */
  subject: "string",
  /** Null where that is not known. */
  since: "string | null",
  /** The question or the command itself, as its lines. */
  question: "string",
  /** The question in one line. */
  summary: "string",
  /** What a dialog offers, each by its key. */
  choices: [{ key: "string", label: "string" }],
  /** The command that answers it. */
  command: "string",
});

export type InboxItem = TypeOf<typeof INBOX_ITEM>;

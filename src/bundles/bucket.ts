import { type KeptTask, keptNote, keptTask } from "../tasks/kept.js";
import { readFrontMatter } from "./task-file.js";

const NOTE = /^### #\d+ by (.*), (\S+)\n\n(`{3,})\n([\s\S]*?)\n\3$/gm;

/** A task's file of mu 0.3, whose exports are buckets of layout 2; undefined if the text is none. */
export async function readBucketFile(text: string): Promise<KeptTask | undefined> {
  const front = await readFrontMatter(text.replaceAll("\r\n", "\n"));
  const [, title] = /^\n*# ([\s\S]*?)\n\n(?:_No notes\._|## Notes \()/.exec(front?.body ?? "") ?? [];
  if (front === undefined || title === undefined) return undefined;
  const { id, status, impact, effort_days, owner, created_at, updated_at, blocked_by } = front.fields;
  const given = { status, impact, effortDays: effort_days, owner, createdAt: created_at, updatedAt: updated_at };
  return keptTask(String(id), title.replace(/\s+/g, " "), {
    ...(given as Partial<KeptTask>),
    closedAt: ["CLOSED", "REJECTED"].includes(String(status)) ? String(updated_at) : null,
    blockedBy: Array.isArray(blocked_by) ? blocked_by.map(String).sort() : [],
    notes: [...front.body.matchAll(NOTE)].map(([, author = "", createdAt = "", , body = ""]) =>
      keptNote({ author, createdAt, text: body }),
    ),
  });
}

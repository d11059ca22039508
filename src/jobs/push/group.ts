import type { PushMark } from "../../flow/payload.js";
import { enumerate } from "../../names.js";
import { shape, type TypeOf } from "../../shape.js";
import type { Changed, Outlet, Upstream } from "../../vcs/git/publish.js";
import type { JobRow } from "../job.js";

/** What is pushed together: the jobs of one checkout. */
export const PUSH = shape({
  /** The top of the checkout. */
  path: "string",
  branch: "string",
  remote: "string",
  jobs: "string[]",
  /** Of the commit; null if only the push is left. */
  subject: "string | null",
  /** What is committed, from the top of the checkout; the folders of the jobs move to the archive besides. */
  files: "string[]",
  /** Null in a dry run, and if there was nothing to commit. */
  commit: "string | null",
});
export type Push = TypeOf<typeof PUSH>;

export const PUSH_SKIPPED = shape({
  job: "string",
  why: ["no_report", "under_way", "local", "refused"],
  reason: "string",
});

export type Skipped = TypeOf<typeof PUSH_SKIPPED>;

export interface PushWish {
  /** Only these; all that have a report without. */
  jobs?: readonly string[] | undefined;
  /** Also those whose names begin with `local-`. */
  includeLocal?: boolean | undefined;
}

export interface Pushes {
  pushes: Push[];
  skipped: Skipped[];
  warnings: { code: string; message: string }[];
}

export interface Member {
  job: JobRow;
  report: string;
  /** What is left to do: a push that was cut off may have made the commit, and one that was refused has archived it. */
  left: "commit" | "archive" | "push";
  mark: PushMark | undefined;
}

export interface Group {
  outlet: Outlet;
  branch: string;
  upstream: Upstream;
  /** The folder whose changes are committed. */
  folder: string;
  changed: Changed;
  members: Member[];
}

export const namesOf = ({ members }: Pick<Group, "members">) => members.map(({ job }) => job.row.name);

export const toCommit = <M extends Member>(members: readonly M[]) => members.filter(({ left }) => left === "commit");

export function nestedWarning({ nested }: Changed) {
  const message = `Not committed, as they are repositories of their own: ${enumerate(nested)}.`;
  return nested.length === 0 ? [] : [{ code: "nested", message }];
}

export function describe(group: Group, commit: string | null): Push {
  const { outlet, branch, upstream, changed, members } = group;
  const fresh = toCommit(members);
  const subject = fresh.length === 0 ? null : (messageOf(fresh).split("\n", 1)[0] ?? null);
  const files = fresh.length === 0 ? [] : changed.files;
  return { path: outlet.path, branch, remote: upstream.remote, jobs: namesOf(group), subject, files, commit };
}

/** The subject of the oldest report, then everything else that the reports say. */
export const messageOf = (members: readonly Member[]): string =>
  `${members.map(({ report }) => report).join("\n\n")}\n`;

import type { Reader } from "../db/schema.js";
import { insteadOfFault } from "../errors.js";
import { counted, enumerate } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { BARE_COMMIT, type BareCommit, type Loose, type VcsWorld } from "../vcs/vcs.js";
import { backendOf, type Workplace } from "./place.js";

/** What is in a checkout and belongs to no task. */
export const LOOSE_WORK = shape({
  agent: "string",
  path: "string",
  /** Newest first. */
  commits: [BARE_COMMIT],
  stashes: [{ name: "string", subject: "string" }],
});

export type LooseWork = TypeOf<typeof LOOSE_WORK>;

/** What is loose in a checkout, compared with `target`. */
export interface FoundLoose extends Loose {
  target: string;
}

const NONE: FoundLoose = { commits: [], tip: null, stashes: [], target: "" };

/**
 * The commits and stashes of a checkout that neither its target nor a task has. `end` is the end of the work that may
 * take the commits in. Nothing where that cannot be found out.
 */
export async function findLoose(
  world: VcsWorld,
  db: Reader,
  place: Workplace,
  { end, since }: { end?: string | undefined; since?: string | undefined } = {},
): Promise<FoundLoose> {
  const backend = await backendOf(place);
  const { targetOf } = await import("../workspaces/target.js");
  const target = await targetOf(world, db, place).catch(insteadOfFault(null));
  if (target === null) return NONE;
  const works = await knownWorks(db, place);
  const options = { target: target.commit, works, end, since };
  const found = (await backend.loose?.(world, place, options).catch(insteadOfFault(NONE))) ?? NONE;
  return { ...found, target: target.commit };
}

/** The works of all tasks in a repository; live tasks of this checkout go up to its HEAD. */
async function knownWorks(db: Reader, { agent, root }: Workplace): Promise<{ from: string; to: string | null }[]> {
  const rows = await db
    .selectFrom("tasks")
    .select(["work_agent", "work_from", "work_to", "status"])
    .where("work_root", "=", root)
    .where("work_from", "is not", null)
    .execute();
  return rows.flatMap(({ work_agent, work_from: from, work_to: to, status }) => {
    const isLive = work_agent === agent && (status === "OPEN" || status === "IN_PROGRESS");
    return from === null || (to === null && !isLive) ? [] : [{ from, to }];
  });
}

/**
 * As `findLoose`, before a claim: starts no program where the checkout is at its base or at the end of a task, and has
 * left nothing elsewhere.
 */
export async function looseBeforeClaim(world: VcsWorld, db: Reader, place: Workplace): Promise<Loose> {
  const works = await knownWorks(db, place);
  const backend = await backendOf(place);
  const head = works.some(({ to }) => to === null) ? await backend.head(world, place) : undefined;
  const known = [place.base_ref, head, ...works.map(({ to }) => to)].filter((commit) => typeof commit === "string");
  const ends = (await backend.looseEnds?.(place, known).catch(insteadOfFault([]))) ?? [];
  return ends.length === 0 ? NONE : findLoose(world, db, place);
}

export const isLoose = ({ commits, stashes }: Pick<Loose, "commits" | "stashes">) =>
  commits.length + stashes.length > 0;

/** How many commits are named. */
const SHOWN = 3;

/** `2 commits (fix the parser, add a test)`. */
export function describeCommits(commits: readonly BareCommit[]): string {
  const subjects = commits.map(({ subject }) => subject);
  return `${counted(commits.length, "commit")} (${enumerate(subjects, SHOWN)})`;
}

/** `2 commits (fix the parser, add a test) and 1 stash (stash@{0})`. */
export function describeLoose({ commits, stashes }: Pick<Loose, "commits" | "stashes">): string {
  const names = stashes.map(({ name }) => name);
  return [
    ...(commits.length > 0 ? [describeCommits(commits)] : []),
    ...(stashes.length > 0 ? [`${counted(stashes.length, "stash", "stashes")} (${enumerate(names, SHOWN)})`] : []),
  ].join(" and ");
}

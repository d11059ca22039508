import { mapAtMost } from "../../../at-most.js";
import { Fault } from "../../../errors.js";
import type { Checkout, Standing, Target, VcsWorld } from "../../vcs.js";
import { type Distance, distances } from "../distance.js";
import { type Ancestry, readAncestry } from "./ancestry.js";
import { type Changes, readChanges, type Span } from "./changes.js";
import { makeCommits } from "./commits.js";
import { type Footprint, footprint } from "./meet.js";
import { type Present, presentOf } from "./present.js";
import type { Quarantine } from "./quarantine.js";

/** A repository, where work lands in it, and where predictions are made. */
export interface Sky {
  quarantine: Quarantine;
  world: VcsWorld;
  root: string;
  target: Target;
}

/** A checkout that takes part, under a name of the caller's. */
export interface Subject {
  name: string;
  checkout: Checkout;
  /** A commit that the newest part of its work begins behind, if that is to be told apart. */
  since?: string | undefined;
}

/** A subject with all that can be found out about it alone. */
export interface Work
  extends Omit<Present, "tree">,
    Pick<Ancestry, "own" | "single">,
    Pick<Standing, "behind" | "ahead"> {
  name: string;
  /** `head`, or a commit on top of it with everything that is not committed. */
  commit: string;
  /** The commit at which it left the target. */
  base: string;
  /** From there to its present. */
  changes: Changes;
  footprint: Footprint;
  /** From its `since`, where that is a commit of its own that has not landed; else the same as `changes`. */
  recent: Changes;
}

export interface Survey {
  works: Work[];
  skipped: { name: string; reason: string }[];
}

/** So many checkouts are read at a time. */
const SIDE_BY_SIDE = 2;

export const NO_CHANGES: Changes = { added: [], deleted: [], modified: [] };

/** Finds out what every subject has; one that cannot be read, or has nothing in common with the target, is skipped. */
export async function survey(sky: Sky, subjects: readonly Subject[]): Promise<Survey> {
  const { present, skipped } = await presents(sky, subjects);
  const { world, root, target } = sky;
  const heads = present.map(({ head }) => head);
  const ancestry =
    heads.length === 0 ? new Map<string, Ancestry>() : await readAncestry(world, root, heads, target.commit);
  const apart = await lag(sky, ancestry);
  const works: Work[] = [];
  const sinces: (string | undefined)[] = [];
  for (const { since, ...one } of present) {
    const { own = new Set<string>(), base, single = true } = ancestry.get(one.head) ?? {};
    if (base === undefined) {
      skipped.push({ name: one.name, reason: `It shares no history with ${target.branch}.` });
      continue;
    }
    const { behind = null, ahead = own.size } = apart.get(one.head) ?? {};
    const nothing = { changes: NO_CHANGES, recent: NO_CHANGES, footprint: footprint(NO_CHANGES) };
    works.push({ ...one, own, base, single, behind, ahead, ...nothing });
    sinces.push(since !== undefined && own.has(since) ? since : undefined);
  }
  await measure(sky, works, sinces);
  return { works, skipped };
}

/** How far each head is from the target; that is asked only where one is not on the newest. */
async function lag({ world, root, target }: Sky, ancestry: ReadonlyMap<string, Ancestry>) {
  const late = [...ancestry].filter(([, { base, single }]) => base !== target.commit || !single).map(([head]) => head);
  const apart = late.length === 0 ? undefined : await distances(world, root, target, late);
  const near = [...ancestry].map(([head, { own }]): [string, Distance] => [head, { ahead: own.size, behind: 0 }]);
  return new Map([...near.filter(([head]) => !late.includes(head)), ...(apart ?? [])]);
}

async function presents({ quarantine, root }: Sky, subjects: readonly Subject[]) {
  const skipped: Survey["skipped"] = [];
  const seen = await mapAtMost(SIDE_BY_SIDE, subjects, async ({ name, checkout, since }) => {
    try {
      return [{ name, since, ...(await presentOf(quarantine, checkout)) }];
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      skipped.push({ name, reason: error.message });
      return [];
    }
  });
  const found = seen.flat();
  const unborn = found.flatMap(({ head, tree }) => (tree === null ? [] : [{ tree, parent: head }]));
  const commits = (await makeCommits(quarantine, root, unborn)).values();
  const present = found.map(({ tree, ...one }) => ({
    ...one,
    commit: tree === null ? one.head : (commits.next().value ?? one.head),
  }));
  return { present, skipped };
}

/** Fills in what every work changes. */
async function measure({ world, root }: Sky, works: readonly Work[], sinces: readonly (string | undefined)[]) {
  const whole = works.filter(({ base, commit }) => base !== commit);
  const spans = whole.map(({ base, commit }): Span => [base, commit]);
  const late = works.flatMap((work, n) => (sinces[n] === undefined ? [] : [{ work, since: sinces[n] }]));
  const lateSpans = late.map(({ work, since }): Span => [since, work.commit]);
  const changes = await readChanges(world, root, [...spans, ...lateSpans]);
  for (const [n, work] of whole.entries()) {
    work.changes = work.recent = changes[n] ?? NO_CHANGES;
    work.footprint = footprint(work.changes);
  }
  for (const [n, { work }] of late.entries()) work.recent = changes[whole.length + n] ?? NO_CHANGES;
}

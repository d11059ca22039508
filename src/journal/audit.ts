import { type EventRow, eventHash, GENESIS_HASH, type Head } from "../db/events.js";
import type { Reader } from "../db/schema.js";
import { pages } from "../db/statement.js";
import { Fault } from "../errors.js";
import { didYouMean, quote } from "../names.js";
import { shape, type TypeOf } from "../shape.js";

/** The verdict on one chain. `firstBad` is the first event that does not fit, and why, as the end of a sentence. */
export interface ChainReport {
  /** A workstream's name, or `""` for the machine's own chain. */
  scope: string;
  /** Events that the chain has, by its anchored head; by the events themselves where no head is kept. */
  n: number;
  /** Hash of the head. */
  head: string;
  ok: boolean;
  /** Large texts that its events have by hash only. */
  byHash: number;
  firstBad?: { n: number; problem: string };
}

/** A chain's end: what to note outside the database, so that a rewritten tail is found as well. */
export const CHAIN_HEAD = shape({
  scope: "string",
  n: "number",
  head: "string",
});

export type ChainHead = TypeOf<typeof CHAIN_HEAD>;

/** A chain that holds, and how many large texts its events have by hash only. */
export const VERIFIED_CHAIN = shape({ ...CHAIN_HEAD, byHash: "number" });

/**
 * Walks the chains (all, or that of `scope`) and reports on each, by scope: edited, dropped, inserted, swapped
 * and truncated events, and a head that is not the last event's. Give it one unchanging picture of the database
 * (`store.read`): events that are appended meanwhile would look inserted. Faults `audit.no_such_chain`.
 */
export async function verifyChains(db: Reader, options: { scope?: string | undefined } = {}): Promise<ChainReport[]> {
  const heads = await auditHead(db, options.scope);
  const walks = new Map<string, Walk>();
  await eachLink(db, options.scope, (event) => {
    let walk = walks.get(event.scope);
    if (walk === undefined) {
      walk = { n: 0, hash: GENESIS_HASH, byHash: 0, bad: undefined };
      walks.set(event.scope, walk);
    }
    if (walk.bad === undefined) follow(walk, event);
  });
  const anchored = new Map(heads.map((head) => [head.scope, head]));
  return [...new Set([...anchored.keys(), ...walks.keys()])]
    .sort()
    .map((scope) => report(scope, walks.get(scope), anchored.get(scope)));
}

/** The heads of all chains by scope, or of one; faults `audit.no_such_chain`. */
export async function auditHead(db: Reader, scope?: string): Promise<ChainHead[]> {
  let query = db.selectFrom("chains").select(["scope", "head_n as n", "head_hash as head"]).orderBy("scope");
  if (scope !== undefined) query = query.where("scope", "=", scope);
  const heads = await query.execute();
  if (scope === undefined || heads.length > 0 || (await hasEvents(db, scope))) return heads;
  const chains = await db.selectFrom("chains").select("scope").execute();
  const names = chains.map((chain) => chain.scope);
  const why = `There is no chain of events for ${quote(scope)}.${didYouMean(scope, names)}`;
  throw new Fault("missing", "audit.no_such_chain", why, [{ intent: "See all chains", command: "mu audit head" }]);
}

async function hasEvents(db: Reader, scope: string): Promise<boolean> {
  const query = db.selectFrom("events").select("id").where("scope", "=", scope).limit(1);
  return (await query.executeTakeFirst()) !== undefined;
}

/** Visits the events of one chain by number, or of all by id. */
async function eachLink(db: Reader, scope: string | undefined, visit: (event: EventRow) => void): Promise<void> {
  const all = db.selectFrom("events").selectAll();
  const links = scope === undefined ? pages(all, "id") : pages(all.where("scope", "=", scope), "n");
  for await (const page of links) for (const event of page) visit(event);
}

interface Walk extends Head {
  byHash: number;
  bad: ChainReport["firstBad"];
}

function follow(walk: Walk, event: EventRow): void {
  const problem = misfit(walk, event);
  if (problem !== undefined) walk.bad = { n: event.n, problem };
  walk.byHash += countByHash(event.changes);
  walk.n = event.n;
  walk.hash = event.hash;
}

/** Quotes inside a text are escaped, so that only a value by hash has this. */
const countByHash = (changes: string) => changes.split('{"sha256":"').length - 1;

function misfit(walk: Walk, event: EventRow): string | undefined {
  const next = walk.n + 1;
  if (event.n > next) return `follows a gap: ${range(next, event.n - 1)} missing`;
  if (event.n < next) return `comes after event ${walk.n}`;
  if (event.prev_hash !== walk.hash) return "does not continue the event before it: prev_hash is not that event's hash";
  if (event.hash !== eventHash(event)) return "was changed: its hash does not match its contents";
  return undefined;
}

const range = (from: number, to: number) => (from === to ? `event ${from} is` : `events ${from} to ${to} are`);

function report(scope: string, walk: Walk | undefined, anchor: ChainHead | undefined): ChainReport {
  const end: Head = walk ?? { n: 0, hash: GENESIS_HASH };
  const firstBad = walk?.bad ?? misplacedHead(end, anchor);
  return {
    scope,
    n: anchor?.n ?? end.n,
    head: anchor?.head ?? end.hash,
    ok: firstBad === undefined,
    byHash: walk?.byHash ?? 0,
    ...(firstBad && { firstBad }),
  };
}

function misplacedHead(end: Head, anchor: ChainHead | undefined): ChainReport["firstBad"] {
  if (anchor === undefined) return { n: end.n, problem: "is in a chain without a recorded head" };
  if (anchor.n > end.n)
    return {
      n: end.n + 1,
      problem: `is missing: the chain ends after event ${end.n}, its recorded head is event ${anchor.n}`,
    };
  if (anchor.n < end.n) return { n: anchor.n + 1, problem: `comes after the recorded head, event ${anchor.n}` };
  if (anchor.head !== end.hash) return { n: end.n, problem: "is not the event that the recorded head names" };
  return undefined;
}

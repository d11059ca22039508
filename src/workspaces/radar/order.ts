/** A collision of two workspaces by name; `b` is null for the target. */
export interface Collides {
  a: string;
  b: string | null;
}

/** Exact up to 24 workspaces; heuristic beyond. */
const EXACT = 24;

/**
 * The landing order in which the fewest have to resolve conflicts. One that collides with the target always has to, and
 * of two that collide, the later one. So a largest set without collisions goes first. Deterministic, independent of the
 * order of the input.
 */
export function suggestOrder(names: readonly string[], collisions: readonly Collides[]): string[] {
  const { rivals, late } = graphOf(names, collisions);
  const all = [...rivals.keys()].sort();
  const candidates = all.filter((name) => !late.has(name));
  const free = new Set(candidates.length <= EXACT ? largest(candidates, rivals) : large(candidates, rivals));
  const rest = all.filter((name) => !free.has(name));
  return [...all.filter((name) => free.has(name)), ...fewestFirst(rest, rivals)];
}

/** Those that have to resolve conflicts if all land in this order. */
export function whoResolves(order: readonly string[], collisions: readonly Collides[]): string[] {
  const { rivals, late } = graphOf(order, collisions);
  const landed = new Set<string>();
  return order.filter((name) => {
    const resolves = late.has(name) || [...(rivals.get(name) ?? [])].some((rival) => landed.has(rival));
    landed.add(name);
    return resolves;
  });
}

type Rivals = ReadonlyMap<string, ReadonlySet<string>>;

function graphOf(names: readonly string[], collisions: readonly Collides[]) {
  const rivals = new Map(names.map((name) => [name, new Set<string>()]));
  const late = new Set<string>();
  for (const { a, b } of collisions) {
    if (b === null) late.add(a);
    else if (a !== b && rivals.has(a) && rivals.has(b)) {
      rivals.get(a)?.add(b);
      rivals.get(b)?.add(a);
    }
  }
  return { rivals, late };
}

const count = (name: string, among: ReadonlySet<string>, rivals: Rivals) =>
  [...(rivals.get(name) ?? [])].filter((rival) => among.has(rival)).length;

/** A largest set without rivals: the better of those with and without the most contested name. */
function largest(names: readonly string[], rivals: Rivals): string[] {
  const among = new Set(names);
  let [worst, most] = ["", 0];
  for (const name of names) {
    const rivalry = count(name, among, rivals);
    if (rivalry > most) [worst, most] = [name, rivalry];
  }
  if (most === 0) return [...names];
  const others = names.filter((name) => name !== worst);
  const without = largest(others, rivals);
  const around = rivals.get(worst) ?? new Set();
  const within = [
    worst,
    ...largest(
      others.filter((name) => !around.has(name)),
      rivals,
    ),
  ];
  return without.length >= within.length ? without : within;
}

/** A large set without rivals: greedy, then improved by replacing one name with two wherever possible. */
function large(names: readonly string[], rivals: Rivals): string[] {
  const chosen = new Set(grow(names, rivals));
  for (let improved = true; improved; ) {
    improved = false;
    for (const name of [...chosen]) {
      const others = new Set([...chosen].filter((other) => other !== name));
      const fitting = names.filter((one) => one !== name && !others.has(one) && count(one, others, rivals) === 0);
      const better = grow(fitting, rivals);
      if (better.length < 2) continue;
      chosen.delete(name);
      for (const one of better) chosen.add(one);
      improved = true;
    }
  }
  return [...chosen];
}

function grow(names: readonly string[], rivals: Rivals): string[] {
  const left = new Set(names);
  const chosen: string[] = [];
  while (left.size > 0) {
    const [name = ""] = fewestFirst([...left], rivals);
    chosen.push(name);
    left.delete(name);
    for (const rival of rivals.get(name) ?? []) left.delete(rival);
  }
  return chosen;
}

/** By number of rivals among them, then by name. */
function fewestFirst(names: readonly string[], rivals: Rivals): string[] {
  const among = new Set(names);
  const rivalry = new Map(names.map((name) => [name, count(name, among, rivals)]));
  return [...names].sort((x, y) => (rivalry.get(x) ?? 0) - (rivalry.get(y) ?? 0) || (x < y ? -1 : 1));
}

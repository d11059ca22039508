import picomatch from "picomatch";

/** What a set of globs covers. */
export type Covers = (path: string) => boolean;

/** Extended globs can take exponential time, and no one names files by them. */
const OPTIONS = { dot: true, noextglob: true };

/**
 * The paths that a task's `touches` cover, from the repository's root. A glob that names a folder covers all in it;
 * `*` stays within a folder, `**` does not; one that begins with `!` takes paths out again.
 */
export function coveredBy(touches: readonly string[]): Covers {
  const ignore = spread(touches.filter(isExclusion).map((glob) => glob.slice(1)));
  return picomatch(spread(touches.filter((glob) => !isExclusion(glob))), { ...OPTIONS, ignore });
}

/**
 * Whether two tasks may change the same file, by what they declare. Only says no where it is sure: of two patterns for
 * one name it takes it that some name fits both.
 */
export function mayOverlap(a: readonly string[], b: readonly string[]): boolean {
  const [some, others] = [a, b].map((touches) => touches.filter((glob) => !isExclusion(glob)).map(segments));
  return (some ?? []).some((one) => (others ?? []).some((other) => compatible(one, other)));
}

const isExclusion = (glob: string) => glob.startsWith("!");
const plain = (glob: string) => glob.replace(/^(\.?\/)+|^\.$/, "").replace(/\/+$/, "");

/** No path is longer, and the matcher refuses much longer globs. */
const LONGEST = 4096;

const spread = (globs: readonly string[]) =>
  globs
    .filter((glob) => glob.length <= LONGEST)
    .map(plain)
    .flatMap((glob) => (glob === "" ? ["**"] : [glob, `${glob}/**`]));

function segments(glob: string): string[] {
  // Braces may hold slashes, so that what they are part of cannot be cut at slashes.
  const fixed = /^[^{]*\//.exec(glob)?.[0] ?? "";
  return glob.includes("{") ? [...parts(fixed), "**"] : parts(glob);
}

const parts = (glob: string) => plain(glob).split("/").filter(Boolean);

/** Two globs as lists of names: whether one path can fit both, or lie in a folder that the other names. */
function compatible(a: readonly string[], b: readonly string[]): boolean {
  const [x, ...restOfA] = a;
  const [y, ...restOfB] = b;
  if (x === undefined || y === undefined) return true;
  if (x === "**") return compatible(restOfA, b) || compatible(a, restOfB);
  if (y === "**") return compatible(a, restOfB) || compatible(restOfA, b);
  return nameFits(x, y) && compatible(restOfA, restOfB);
}

function nameFits(x: string, y: string): boolean {
  const [patternX, patternY] = [isPattern(x), isPattern(y)];
  if (patternX && patternY) return true;
  if (patternX) return picomatch(x, OPTIONS)(y);
  return patternY ? picomatch(y, OPTIONS)(x) : x === y;
}

const isPattern = (name: string) => /[*?[\]{}]/.test(name);

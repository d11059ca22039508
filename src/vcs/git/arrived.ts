import type { VcsWorld } from "../vcs.js";
import { runGits } from "./run.js";

/** The commits of a work, and the commit that they begin on. */
export interface Patch {
  base: string;
  to: string;
  /** One commit each, oldest first; none if some are merges. */
  steps: readonly string[];
}

/**
 * `has BASE TO` is true if a commit of the target makes the change from BASE to TO, and no later one takes it back;
 * `at` is the newest such commit. Of a commit that changes more, only the files of the change count. git's patch ids
 * find it, and a comparison of the text makes sure: patch ids ignore white space.
 */
const FIND = `
export GIT_AUTHOR_NAME=mu GIT_AUTHOR_EMAIL=mu GIT_AUTHOR_DATE='@0 +0000'
export GIT_COMMITTER_NAME=mu GIT_COMMITTER_EMAIL=mu GIT_COMMITTER_DATE='@0 +0000' GIT_LITERAL_PATHSPECS=1
set -f
IFS='
'
same() {
  git rev-list --cherry-mark --left-only --no-merges "$target...$2" "^$1" -- $paths | sed -n '/^=/{s///p;q;}'
}
text() {
  git diff-tree -p --no-ext-diff --no-textconv --no-renames "$1" "$2" -- $paths |
    sed -e '/^index /d' -e 's/^@@ .*/@@/' | git hash-object --stdin
}
has() {
  paths=$(git diff-tree -r --no-renames --name-only -z "$1" "$2" 2>/dev/null | tr '\\0' '\\n')
  [ -n "$paths" ] && [ -n "$(git rev-list -n 1 --no-merges "$target" "^$1" -- $paths)" ] || return 1
  new=$(git commit-tree --no-gpg-sign -p "$1" -m change "$2^{tree}") || return 1
  at=$(same "$1" "$new")
  [ -n "$at" ] && [ "$(text "$1" "$2")" = "$(text "$at^" "$at")" ] || return 1
  old=$(git commit-tree --no-gpg-sign -p "$new" -m back "$1^{tree}") || return 1
  undone=$(same "$new" "$old")
  [ -z "$undone" ] || git merge-base --is-ancestor "$undone" "$at"
}
all() {
  [ $# -gt 1 ] || return 1
  for step do has "$step^" "$step" || return 1; done
}
target=$1; shift
while [ $# -ge 3 ]; do
  if has "$1" "$2" || all $3; then echo "$at"; else echo -; fi
  shift 3
done`;

/**
 * The commit of the target that has each patch, as one commit or as one for each of its steps: so do squashed and
 * rebased pull requests land. Undefined where there is none.
 */
export async function findArrived(
  world: VcsWorld,
  root: string,
  target: string,
  patches: readonly Patch[],
): Promise<(string | undefined)[]> {
  if (patches.length === 0) return [];
  const args = patches.flatMap(({ base, to, steps }) => [base, to, steps.join("\n")]);
  const lines = ((await runGits(world, root, FIND, [target, ...args])) ?? "").split("\n");
  return patches.map((_, index) => (/^[0-9a-f]+$/.test(lines[index] ?? "") ? lines[index] : undefined));
}

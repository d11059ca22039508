import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, it } from "vitest";
import { execProgram } from "../../../src/exec.js";
import { forecast } from "../../../src/vcs/git/predict/forecast.js";
import { newRepository, type Repository } from "../../support/repository.js";
import { fewOf, seed } from "../../support/sample.js";

/** Few folders and files, so that edits meet often. */
const PLACES = ["a", "b", "d/a", "d/b", "d/e/a", "d/e/b", "f/a", "f/g/a"];
const FOLDERS = ["d", "d/e", "f", "f/g", "h", "h/i", "d/k"];

const place = fc.constantFrom(...PLACES, "c", "d/c", "d/e/c", "f/c", "h/a", "d", "h");
const folder = fc.constantFrom(...FOLDERS);
const edit = fc.oneof(
  fc.record({ do: fc.constant("line" as const), path: place, line: fc.constantFrom(1, 2, 9, 10), word: fc.nat(2) }),
  fc.record({ do: fc.constant("write" as const), path: place, word: fc.nat(2) }),
  fc.record({ do: fc.constant("remove" as const), path: fc.oneof(place, folder) }),
  fc.record({ do: fc.constant("move" as const), path: fc.oneof(place, folder), to: fc.oneof(place, folder) }),
  fc.record({ do: fc.constant("commit" as const) }),
  fc.record({ do: fc.constant("stage" as const) }),
);
type Edit = typeof edit extends fc.Arbitrary<infer E> ? E : never;
const edits = fc.array(edit, { maxLength: 4 });

let repository: Repository;
beforeEach(async () => {
  const lines = (path: string) => Array.from({ length: 10 }, (_, n) => `${path} ${n + 1}`).join("\n");
  repository = await newRepository(Object.fromEntries(PLACES.map((path) => [path, `${lines(path)}\n`])));
});
afterEach(() => repository.end());

it("foretells of every pair and of the target what git says when it merges them all", async () => {
  let round = 0;
  const history = fc.record({
    moves: fc.array(edits, { maxLength: 2 }),
    works: fc.array(fc.record({ from: fc.nat(2), edits }), { minLength: 2, maxLength: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(history, async ({ moves, works }) => {
      const base = join(repository.dir, `round ${round++}`);
      const main = join(base, "main");
      await repository.git("worktree", "add", "-q", "--detach", main, "main");
      const targets = [await head(main)];
      for (const move of moves) {
        for (const one of move) await apply(main, one);
        await commitAll(main);
        targets.push(await head(main));
      }
      const target = { branch: "main", commit: targets.at(-1) ?? "" };
      const subjects = [];
      for (const [n, work] of works.entries()) {
        const path = join(base, `w${n}`);
        await repository.git("worktree", "add", "-q", "--detach", path, targets[work.from % targets.length] ?? "");
        for (const one of work.edits) await apply(path, one);
        subjects.push({ name: `w${n}`, checkout: { root: repository.root, path } });
      }
      const { clashes, skipped } = await forecast(repository.world, repository.root, target, subjects);
      expect(skipped).toEqual([]);
      expect(clashes).toEqual(await bruteForce(subjects, target.commit));
      rmSync(base, { recursive: true });
      await repository.git("worktree", "prune");
    }),
    { numRuns: fewOf(4, Number(process.env["FORECASTS"] ?? 12)), seed },
  );
}, 600_000);

async function apply(cwd: string, one: Edit): Promise<void> {
  if (one.do === "commit") return commitAll(cwd);
  if (one.do === "stage") return void (await repository.gitIn(cwd, "add", "-A"));
  const path = join(cwd, one.path);
  if (one.do === "remove" && blocked(cwd, one.path)) return;
  if (one.do === "remove") return rmSync(path, { recursive: true, force: true });
  if (one.do === "move") {
    const to = join(cwd, one.to);
    if (
      !existsSync(path) ||
      blocked(cwd, one.path) ||
      existsSync(to) ||
      blocked(cwd, one.to) ||
      `${one.to}/`.startsWith(`${one.path}/`)
    )
      return;
    mkdirSync(dirname(to), { recursive: true });
    return renameSync(path, to);
  }
  if (blocked(cwd, one.path)) return;
  const old = existsSync(path) && lstatSync(path).isFile() ? readFileSync(path, "utf8").split("\n") : undefined;
  if (old === undefined) rmSync(path, { recursive: true, force: true });
  mkdirSync(dirname(path), { recursive: true });
  if (one.do === "write" || old === undefined) return writeFileSync(path, `${one.word}\n`.repeat(3));
  old[one.line - 1] = `edited ${one.word}`;
  writeFileSync(path, old.join("\n"));
}

/** True where a file is in the place of a folder above `path`. */
function blocked(cwd: string, path: string): boolean {
  const above = dirname(path);
  if (above === ".") return false;
  return (existsSync(join(cwd, above)) && lstatSync(join(cwd, above)).isFile()) || blocked(cwd, above);
}

async function commitAll(cwd: string): Promise<void> {
  await repository.gitIn(cwd, "add", "-A");
  await repository.gitIn(cwd, "commit", "-qm", "all", "--allow-empty");
}

const head = (cwd: string) => repository.gitIn(cwd, "rev-parse", "HEAD");

/** Commits everything and merges every pair, by the rule that the forecast gives for whose collision it is. */
async function bruteForce(subjects: readonly { name: string; checkout: { path: string } }[], target: string) {
  const works = [];
  for (const { name, checkout } of subjects) {
    const before = await head(checkout.path);
    if (readdirSync(checkout.path).length >= 0) await commitAll(checkout.path);
    const commit = await head(checkout.path);
    const base = await repository.git("merge-base", before, target);
    const { tree, conflicts } = await merge(commit, target);
    const onTarget = await repository.git("commit-tree", tree, "-p", target, "-m", "there");
    const landed = before !== target && tree === (await repository.git("rev-parse", `${target}^{tree}`));
    works.push({ name, commit, base, conflicts, onTarget, landed });
  }
  const clashes = works.map(({ name, conflicts }) => ({ a: name, b: null as string | null, paths: conflicts }));
  for (const [n, a] of works.entries()) {
    for (const b of works.slice(n + 1)) {
      if (a.landed || b.landed) continue;
      const level = a.base === b.base;
      const { conflicts } = level ? await merge(a.commit, b.commit) : await merge(a.onTarget, b.onTarget);
      const targets = level ? [] : [...a.conflicts, ...b.conflicts];
      clashes.push({ a: a.name, b: b.name, paths: conflicts.filter((path) => !targets.includes(path)) });
    }
  }
  const key = ({ a, b }: { a: string; b: string | null }) => `${a} ${b ?? ""}`;
  return clashes.filter(({ paths }) => paths.length > 0).sort((x, y) => (key(x) < key(y) ? -1 : 1));
}

async function merge(ours: string, theirs: string) {
  const args = ["merge-tree", "--write-tree", "-z", "--name-only", ours, theirs];
  const { code, stdout } = await execProgram("git", args, { cwd: repository.root, env: repository.env });
  const [listing = "", messages = ""] = stdout.split("\0\0");
  const [tree = "", ...paths] = listing.split("\0");
  if (code === 1 && paths.length === 0) paths.push(messages.split("\0")[1] ?? "");
  const real = paths.filter((path) => path !== "").map((path) => path.replace(/~[0-9a-f]{40}(_\d+)?$/, ""));
  return { tree: tree.replace("\0", ""), conflicts: [...new Set(real)].sort() };
}

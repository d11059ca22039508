import { createHash } from "node:crypto";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import fc from "fast-check";

/** A file of a tree that a test makes up. */
export type Leaf = { kind: "file" | "program"; bytes: Uint8Array } | { kind: "link"; to: string };

/** Leaves by path; no path is below another. */
export type Tree = ReadonlyMap<string, Leaf>;

/** What version control systems keep in a checkout for themselves. */
const THEIRS = new Set([".git", ".jj", ".sl", ".hg"]);

/** Everything in a folder but empty folders: `kind hash` by path. Two folders with equal manifests hold the same. */
export function manifestOf(folder: string): Record<string, string> {
  const found: Record<string, string> = {};
  const walk = (below: string): void => {
    for (const { name } of readdirSync(join(folder, below), { withFileTypes: true })) {
      if (below === "" && THEIRS.has(name)) continue;
      const path = below === "" ? name : `${below}/${name}`;
      const stat = lstatSync(join(folder, path));
      if (stat.isDirectory()) walk(path);
      else if (stat.isSymbolicLink()) found[path] = `link ${readlinkSync(join(folder, path))}`;
      else if (stat.isFile())
        found[path] = `${stat.mode & 0o100 ? "program" : "file"} ${hash(readFileSync(join(folder, path)))}`;
    }
  };
  walk("");
  return found;
}

function hash(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex").slice(0, 16);
}

/** Makes a folder hold this tree and nothing else, besides what a version control system keeps there. */
export function writeTree(folder: string, tree: Tree): void {
  for (const name of readdirSync(folder))
    if (!THEIRS.has(name)) rmSync(join(folder, name), { recursive: true, force: true });
  for (const [path, leaf] of tree) {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    if (leaf.kind === "link") symlinkSync(leaf.to, file);
    else writeFileSync(file, leaf.bytes);
    if (leaf.kind !== "link") chmodSync(file, leaf.kind === "program" ? 0o755 : 0o644);
  }
}

const NAMES = [
  "a",
  "b",
  "src",
  "name with spaces",
  "ünïcødé",
  "日本語.txt",
  "-dash",
  "--",
  "quote'\"s",
  "back\\slash",
  "new\nline",
  "tab\t",
  "*",
  "[x]",
  ":(top)",
  "HEAD",
  "#hash",
  "~",
  "\u{1f600}",
];

const leaf: fc.Arbitrary<Leaf> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("file" as const), bytes: fc.uint8Array({ maxLength: 40 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("file" as const), bytes: fc.constant(new Uint8Array()) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("program" as const), bytes: fc.uint8Array({ maxLength: 9 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("link" as const), to: fc.constantFrom("a", "../gone", "src", "ünïcødé") }),
  },
);

/** Trees of odd names: binary and empty files, programs, links, and folders up to three deep. */
export const trees: fc.Arbitrary<Tree> = fc
  .array(fc.tuple(fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 }), leaf), { maxLength: 10 })
  .map((leaves) => {
    const tree = new Map<string, Leaf>();
    for (const [names, what] of leaves) {
      const path = names.join("/");
      const clash = [...tree.keys()].some(
        (other) => `${other}/`.startsWith(`${path}/`) || path.startsWith(`${other}/`),
      );
      if (!clash) tree.set(path, what);
    }
    return tree;
  });

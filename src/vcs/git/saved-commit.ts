import { counted, quote } from "../../names.js";
import type { VcsWorld } from "../vcs.js";
import { gitLine, runGit } from "./run.js";

/** Trailers in the message of a save, used to restore it. */
export const TRAILERS = {
  head: "Mu-Head",
  index: "Mu-Index",
  resumable: "Mu-Unfinished",
  nested: "Mu-Nested",
  ignored: "Mu-Ignored",
  leftOut: "Mu-Left-Out",
} as const;

/** The save of a repository inside a checkout, and where that was cloned from. */
export interface Nested {
  /** Relative to the checkout. */
  path: string;
  commit: string;
  origin: string | null;
}

interface Parts {
  name: string;
  /** Where the files were. */
  path: string;
  /** Null in a nested repository without commits. */
  head: string | null;
  tree: string;
  indexTree: string;
  /** Commits that an unfinished rebase or merge needs. */
  resumable: readonly string[];
  nested: readonly Nested[];
  files: readonly string[];
  /** The tree of ignored files. */
  ignored?: string | null;
  /** Ignored files that are not saved. */
  leftOut?: readonly string[];
}

const LISTED = 50;

/** Creates the commit of a save in the repository at `cwd`, dated `date` (as git reads it) or now. */
export async function makeSavedCommit(world: VcsWorld, cwd: string, parts: Parts, date?: string): Promise<string> {
  const { name, head, tree, indexTree, resumable, nested, ignored = null } = parts;
  const dates = date === undefined ? {} : { GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date };
  const env = { ...(await identity(world, cwd)), ...dates };
  const commitTree = async (of: string, parents: readonly string[], message: string) => {
    const args = ["commit-tree", of, ...[...new Set(parents)].flatMap((parent) => ["-p", parent])];
    return gitLine(world, cwd, args, { input: message, env });
  };
  const heads = head === null ? [] : [head];
  const known = [tree, ...(await Promise.all(heads.map((commit) => treeOf(world, cwd, commit))))];
  const index = known.includes(indexTree) ? [] : [await commitTree(indexTree, heads, `index of ${name}\n`)];
  const beside = ignored === null ? [] : [await commitTree(ignored, [], `ignored files of ${name}\n`)];
  const inside = nested.map(({ commit }) => commit);
  return commitTree(tree, [...heads, ...index, ...resumable, ...inside, ...beside], messageOf(parts));
}

export async function treeOf(world: VcsWorld, cwd: string, commit: string): Promise<string> {
  return gitLine(world, cwd, ["rev-parse", `${commit}^{tree}`]);
}

function messageOf({ name, path, head, indexTree, resumable, nested, files, ignored, leftOut = [] }: Parts): string {
  const list = files.slice(0, LISTED).map((file) => `  ${quote(file)}`);
  const more = files.length > LISTED ? [`  and ${files.length - LISTED} more`] : [];
  const trailers = [
    `${TRAILERS.head}: ${head ?? "none"}`,
    `${TRAILERS.index}: ${indexTree}`,
    ...resumable.map((commit) => `${TRAILERS.resumable}: ${commit}`),
    ...nested.map((each) => `${TRAILERS.nested}: ${JSON.stringify(each)}`),
    ...(ignored ? [`${TRAILERS.ignored}: ${ignored}`] : []),
    ...leftOut.slice(0, LISTED).map((file) => `${TRAILERS.leftOut}: ${JSON.stringify(file)}`),
  ];
  const paragraphs = [
    `Salvage of ${name}`,
    `Uncommitted in ${quote(path)}: ${counted(files.length, "file")}.`,
    [...list, ...more].join("\n"),
    `${trailers.join("\n")}\n`,
  ];
  return paragraphs.filter(Boolean).join("\n\n");
}

/** What a save holds; `tree` and `index` are null if nothing was uncommitted. */
export interface Content {
  head: string | null;
  tree: string | null;
  index: string | null;
  resumable: string[];
  nested: Nested[];
  /** The tree of ignored files. */
  ignored: string | null;
  /** Ignored files that were not saved. */
  leftOut: string[];
}

/** Reads a save; a plain commit is a save of commits only. */
export async function readSavedCommit(world: VcsWorld, cwd: string, commit: string): Promise<Content> {
  const shown = ["log", "-1", "--no-show-signature", "--format=%T%n%B", commit];
  const [tree = "", subject, ...body] = (await runGit(world, cwd, shown)).stdout.split("\n");
  const all = (key: keyof typeof TRAILERS) => {
    const begin = `${TRAILERS[key]}: `;
    return body.filter((line) => line.startsWith(begin)).map((line) => line.slice(begin.length));
  };
  const [[head], [index]] = [all("head"), all("index")];
  if (!subject?.startsWith("Salvage of ") || head === undefined || index === undefined)
    return { head: commit, tree: null, index: null, resumable: [], nested: [], ignored: null, leftOut: [] };
  const nested = all("nested").map((text) => JSON.parse(text) as Nested);
  const [ignored = null] = all("ignored");
  const leftOut = all("leftOut").map((text) => JSON.parse(text) as string);
  return { head: head === "none" ? null : head, tree, index, resumable: all("resumable"), nested, ignored, leftOut };
}

/** Variables for commits that we create: empty if the user has an identity in git, else mu's. */
export async function identity(world: VcsWorld, cwd: string): Promise<Record<string, string>> {
  const known = await runGit(world, cwd, ["var", "GIT_COMMITTER_IDENT"], { okCodes: [128] });
  if (known.code === 0) return {};
  return {
    GIT_AUTHOR_NAME: "mu",
    GIT_AUTHOR_EMAIL: "mu@localhost",
    GIT_COMMITTER_NAME: "mu",
    GIT_COMMITTER_EMAIL: "mu@localhost",
  };
}

import type { CommitRange, DiffForm, LandedWork, SpanReader, VcsWorld } from "../vcs.js";
import { findCommit, gitEntries, gitLine, gitLines, runGit } from "./run.js";

const FORMS: Readonly<Record<DiffForm, string>> = { patch: "--patch", stat: "--stat=80", names: "--name-only" };

/** Reads differences whatever the user configured for `git diff`; only `command` follows that. */
export const spans: SpanReader = {
  async ofWork(world, root, { from, to }, target) {
    if (target === undefined) return { from, to };
    const base = await gitLine(world, root, ["merge-base", target, to], { okCodes: [1, 128] });
    const isBelow =
      base !== "" && (await runGit(world, root, isAncestor(from, base), { okCodes: [1, 128] })).code === 0;
    return { from: isBelow ? base : from, to };
  },
  async ofLanded(world, root, landed) {
    const { commit } = landed;
    if ((await findCommit(world, root, commit)) === undefined) return undefined;
    const count = landed.commits ?? (await countOf(world, root, landed));
    const from = await findCommit(world, root, `${commit}~${Math.max(count, 1)}`);
    return { from: from ?? (await emptyTree(world, root)), to: commit };
  },
  async commits(world, root, { from, to }) {
    const args = ["log", "--reverse", "--topo-order", "--no-show-signature", "--no-color", "-z", "--format=%H %s"];
    const entries = await gitEntries(world, root, [...args, to, `^${from}`, "--"]);
    return entries.map((entry) => ({ sha: entry.slice(0, entry.indexOf(" ")), subject: entry.replace(/^\S+ /, "") }));
  },
  async files(world, root, { from, to }) {
    const args = ["diff-tree", "-r", "-z", "--numstat", "--no-renames", "--no-ext-diff", "--no-textconv", from, to];
    return (await gitEntries(world, root, args)).map((entry) => {
      const [added, removed, ...path] = entry.split("\t");
      return { path: path.join("\t"), added: numberOf(added), removed: numberOf(removed) };
    });
  },
  async text(world, root, { from, to }, form) {
    const args = ["diff-tree", "-r", "-M", "--no-ext-diff", "--no-textconv", FORMS[form], from, to];
    return (await runGit(world, root, args)).stdout;
  },
  command: (root, { from, to }, form) => ({ file: "git", args: ["-C", root, "diff", FORMS[form], from, to] }),
};

const isAncestor = (one: string, other: string) => ["merge-base", "--is-ancestor", one, other];
const numberOf = (text = "") => (/^\d+$/.test(text) ? Number(text) : null);
const emptyTree = (world: VcsWorld, root: string) =>
  gitLine(world, root, ["hash-object", "-t", "tree", "--stdin"], { input: "" });

/** How many commits the work has: the last one of each landed task has a trailer. */
async function countOf(world: VcsWorld, root: string, { commit, onto }: LandedWork): Promise<number> {
  const format = "--format=%H %(trailers:key=Mu-Task,valueonly,separator=%x20)";
  const range: CommitRange = { from: onto === "" ? `${commit}~1` : onto, to: commit };
  const lines = await gitLines(world, root, ["log", "--first-parent", format, range.to, `^${range.from}`, "--"]);
  const next = lines.findIndex((line, index) => index > 0 && / \S/.test(line));
  return next < 0 ? lines.length : next;
}

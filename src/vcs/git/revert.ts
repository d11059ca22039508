import type { TakenBack, Tip } from "../lander.js";
import type { CommitRange, VcsWorld } from "../vcs.js";
import { mergeTrees } from "./merge.js";
import { gitFault, gitLine, runGit } from "./run.js";

const WHO = { GIT_AUTHOR_NAME: "mu", GIT_AUTHOR_EMAIL: "mu", GIT_COMMITTER_NAME: "mu", GIT_COMMITTER_EMAIL: "mu" };

/** See `Lander.revert`. A revert is the merge of the tip with the start of a span, where the span's end is the base. */
export async function revert(
  world: VcsWorld,
  root: string,
  onto: Tip,
  { spans, message }: { spans: readonly CommitRange[]; message: string },
): Promise<TakenBack> {
  const commitTree = (tree: string, parents: readonly string[] = []) => {
    const args = [
      "commit-tree",
      "--no-gpg-sign",
      tree,
      "-m",
      "a side of a merge",
      ...parents.flatMap((one) => ["-p", one]),
    ];
    return gitLine(world, root, args, { env: WHO });
  };
  let tree = onto.tree;
  for (const { from, to } of [...spans].reverse()) {
    const base = await commitTree(`${to}^{tree}`);
    const sides = [await commitTree(tree, [base]), await commitTree(`${from}^{tree}`, [base])] as const;
    const merged = await mergeTrees(world, root, sides);
    if (!merged.isClean) {
      const words = merged.messages.map(({ text }) => text.trim());
      return { outcome: "conflict", files: [...new Set(merged.files)].sort(), words };
    }
    tree = merged.tree;
  }
  if (tree === onto.tree) return { outcome: "reverted", tip: onto };
  const args = ["commit-tree", "--no-gpg-sign", tree, "-p", onto.commit];
  const made = await runGit(world, root, args, { input: message, okCodes: [128] });
  if (made.code === 0) return { outcome: "reverted", tip: { commit: made.stdout.trim(), tree } };
  if (!/ident|who you are|auto-detect/.test(made.stderr)) throw gitFault(root, args, made);
  return { outcome: "reverted", tip: { commit: await gitLine(world, root, args, { env: WHO, input: message }), tree } };
}

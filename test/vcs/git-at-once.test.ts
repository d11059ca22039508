import { join } from "node:path";
import { expect, it } from "vitest";
import { git } from "../../src/vcs/git/git.js";
import { newRepository } from "../support/repository.js";

it("makes many workspaces of one repository at once, and takes them away at once", { timeout: 60_000 }, async () => {
  const repository = await newRepository();
  try {
    const checkouts = Array.from({ length: 12 }, (_, n) => ({
      root: repository.root,
      path: join(repository.dir, `workspace ${n}`),
    }));
    const made = await Promise.all(checkouts.map((checkout) => git.create(repository.world, checkout, {})));
    expect(new Set(made.map(({ base }) => base))).toEqual(new Set([await repository.git("rev-parse", "main")]));
    expect((await repository.git("worktree", "list")).split("\n")).toHaveLength(13);
    await Promise.all(checkouts.map((checkout) => git.remove(repository.world, checkout)));
    expect((await repository.git("worktree", "list")).split("\n")).toHaveLength(1);
    await repository.git("fsck", "--strict");
  } finally {
    repository.end();
  }
});

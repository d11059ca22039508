import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { git as backend } from "../../src/vcs/git/git.js";
import { gitLander } from "../../src/vcs/git/land.js";
import { newRepository, type Repository } from "../support/repository.js";

let repo: Repository;
beforeEach(async () => {
  repo = await newRepository({ "list.txt": "one\n", ".gitattributes": "list.txt merge=union\n" });
});
afterEach(() => repo.end());

async function replay(root: string, range: { from: string; to: string }) {
  const target = await gitLander.target(repo.world, root, "main");
  const one = { work: range, beneath: [], trailers: [], names: { ours: "main", theirs: "build" } };
  const replayer = await gitLander.replayer(repo.world, root, target, [one]);
  return replayer.replay(target, one);
}

it("a union merge is none of a conflict in a bare repository, or while the checkout is elsewhere", async () => {
  const from = await repo.git("rev-parse", "HEAD");
  await repo.git("checkout", "-q", "-b", "work");
  const to = await repo.commit({ "list.txt": "one\nwork\n" }, "work");
  await repo.git("checkout", "-q", "main");
  await repo.commit({ "list.txt": "one\nmain\n" }, "main");
  const bare = join(repo.dir, "bare.git");
  await repo.git("clone", "-q", "--bare", repo.root, bare);
  await repo.git("checkout", "-q", "--orphan", "pages");
  await repo.git("rm", "-q", "-rf", ".");
  for (const root of [bare, repo.root]) {
    const replayed = await replay(root, { from, to });
    expect(replayed).toMatchObject({ outcome: "replayed", commits: 1 });
    if (replayed.outcome !== "replayed") continue;
    expect((await repo.gitIn(root, "show", `${replayed.tip.commit}:list.txt`)).split("\n").sort()).toEqual([
      "main",
      "one",
      "work",
    ]);
  }
});

it("line endings that the attributes make equal do not conflict", async () => {
  const from = await repo.commit({ "a.txt": "one\r\ntwo\r\n" }, "with CRLF");
  await repo.git("checkout", "-q", "-b", "work");
  const to = await repo.commit({ "a.txt": "one\r\nTWO\r\n" }, "work");
  await repo.git("checkout", "-q", "main");
  await repo.commit({ ".gitattributes": "* text=auto\n", "a.txt": "one\ntwo\n" }, "normalised");
  await repo.git("add", "--renormalize", ".");
  await repo.git("commit", "-q", "--allow-empty", "-m", "renormalised");
  expect(await replay(repo.root, { from, to })).toMatchObject({ outcome: "replayed", commits: 1 });
});

it("a shallow clone is named as such, and the advice helps", async () => {
  const clone = join(repo.dir, "clone");
  await repo.git("clone", "-q", `file://${repo.root}`, clone);
  const path = join(repo.dir, "space");
  await backend.create(repo.world, { root: clone, path }, {});
  await repo.commit({ "mine.txt": "m\n" }, "mine", path);
  await repo.commit({ "main.txt": "m\n" }, "main");
  await repo.gitIn(clone, "fetch", "-q", "--depth", "1");
  await repo.gitIn(clone, "reset", "-q", "--hard", "origin/main");
  const refresh = () => backend.refresh(repo.world, { root: clone, path }, "main");
  const refused = await refresh().catch((error) => error);
  expect(refused).toMatchObject({ code: "vcs.shallow" });
  const { code } = await repo.world.exec("sh", ["-c", refused.nextSteps[0].command], { cwd: clone, env: repo.env });
  expect(code).toBe(0);
  expect(await refresh()).toMatchObject({ outcome: "refreshed", replayed: [{ subject: "mine" }] });
});

import { afterEach, beforeEach, expect, it } from "vitest";
import { destroyCrew } from "../../src/crew/workstream.js";
import { getBackend } from "../../src/vcs/backends.js";
import { openYard, type Yard } from "./yard.js";

let yard: Yard;
beforeEach(async () => {
  yard = await openYard();
});
afterEach(() => yard.end());

const kept = async () =>
  (await yard.repo.git("for-each-ref", "--format=%(refname:lstrip=3)", "refs/mu/work")).split("\n");

/** A finished task whose last commit is kept as `mu task close` does it. */
async function finished(task: string, workstream = "shop"): Promise<string> {
  await yard.finished(task, { [`${task}.txt`]: task });
  const commit = await yard.repo.gitIn(await yard.workspace(task), "rev-parse", "HEAD");
  await getBackend("git").keep?.(yard.crew, yard.repo.root, `${workstream}/${task}`, commit);
  return commit;
}

it("landed work stays reachable until its workstream is destroyed", async () => {
  await finished("build");
  await yard.land(["build"]);
  expect(await kept()).toEqual(["shop/build"]);
  await destroyCrew(yard.crew, "shop");
  expect(await kept()).toEqual([""]);
});

it("destroying a workstream keeps work that no other ref has, and that of other workstreams", async () => {
  const main = await yard.main();
  for (const task of ["back", "saved", "lost"]) await finished(task);
  await finished("other", "shop2");
  await yard.land(["back"]);
  await yard.repo.git("reset", "-q", "--hard", main);
  await yard.repo.git("update-ref", "refs/mu/salvage/shop/saved/1", "refs/mu/work/shop/saved");
  await destroyCrew(yard.crew, "shop");
  expect(await kept()).toEqual(["shop/back", "shop/lost", "shop2/other"]);
});

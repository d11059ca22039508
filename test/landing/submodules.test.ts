import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { addTask } from "../../src/tasks/add.js";
import { openYard, WORKSTREAM, type Yard } from "./yard.js";

const FILE = ["-c", "protocol.file.allow=always"];
let yard: Yard;
let first: string;
let second: string;

beforeEach(async () => {
  yard = await openYard();
  const { repo } = yard;
  const library = join(repo.dir, "library");
  await repo.git("init", "-q", "-b", "main", library);
  first = await repo.commit({ "lib.txt": "1\n" }, "one", library);
  await repo.git(...FILE, "submodule", "--quiet", "add", library, "lib");
  await repo.commit({}, "with a submodule");
});
afterEach(() => yard.end());

/** A task that moves the submodule to a commit which only its workspace has. */
async function finishBump(): Promise<void> {
  const path = await yard.workspace("bob");
  await yard.repo.gitIn(path, ...FILE, "submodule", "--quiet", "update", "--init");
  second = await yard.repo.commit({ "lib.txt": "2\n" }, "two", join(path, "lib"));
  const from = await yard.repo.gitIn(path, "rev-parse", "HEAD");
  const to = await yard.repo.commit({ "uses.txt": "2\n" }, "bump", path);
  await addTask(yard.crew.context, WORKSTREAM, { name: "bump", title: "Bump" });
  await yard.closeWith("bump", { agent: "bob", from, to });
}

const lib = () => join(yard.repo.root, "lib");
const head = () => yard.repo.gitIn(lib(), "rev-parse", "HEAD");

it("a bump is checked with the submodule that it names, and moves the user's", async () => {
  await finishBump();
  const { landed } = await yard.land(undefined, { check: "test $(cat lib/lib.txt) = 2" });
  expect(landed).toMatchObject([{ task: "bump" }]);
  expect(await head()).toBe(second);
  expect(await yard.repo.git("status", "--porcelain")).toBe("");
});

it("a submodule with changes, or at another commit, stays as it is, and the next work lands", async () => {
  await finishBump();
  yard.repo.write({ "lib.txt": "mine\n" }, lib());
  expect((await yard.land()).landed).toMatchObject([{ task: "bump" }]);
  expect([await head(), yard.repo.read("lib.txt", lib())]).toEqual([first, "mine\n"]);
  await yard.finished("docs", { "docs.txt": "d\n" });
  expect((await yard.land(undefined, { check: "test $(cat lib/lib.txt) = 2" })).landed).toMatchObject([
    { task: "docs" },
  ]);
  expect([await head(), yard.repo.read("lib.txt", lib())]).toEqual([first, "mine\n"]);
  expect(await yard.repo.git("rev-parse", "main:lib")).toBe(second);
});

it("bisecting checks each tree with its own submodule", async () => {
  await finishBump();
  await yard.finished("docs", { "docs.txt": "d\n" });
  const { landed, returned } = await yard.land(undefined, { check: "test $(cat lib/lib.txt) = 1" });
  expect([landed, returned]).toMatchObject([[{ task: "docs" }], [{ task: "bump" }]]);
  expect(await head()).toBe(first);
});

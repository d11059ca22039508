import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { git } from "../../src/vcs/git/git.js";
import type { Checkout, CommitRange, Target } from "../../src/vcs/vcs.js";
import { newRepository, type Repository } from "../support/repository.js";

const LINES = ["one", "two", "three", "four", "five"];
const text = (...lines: string[]) => `${lines.join("\n")}\n`;

describe("work that is on the branch under another name", () => {
  let repository: Repository;
  let checkout: Checkout;
  let base: string;
  beforeEach(async () => {
    repository = await newRepository({ "list.txt": text(...LINES) });
    base = await repository.git("rev-parse", "main");
    checkout = { root: repository.root, path: join(repository.dir, "ann") };
    await git.create(repository.world, checkout, {});
  });
  afterEach(() => repository.end());

  const target = async (...landed: CommitRange[]): Promise<Target> => {
    const found = await git.target(repository.world, repository.root, "main");
    return { branch: "main", commit: found?.commit ?? "", landed };
  };
  const inWorkspace = (files: Record<string, string>, message: string) =>
    repository.commit(files, message, checkout.path);
  /** Lands as a landing does that had to merge: the same change in other surroundings. */
  const landed = (files: Record<string, string>, message: string) => repository.commit(files, message);
  const standing = async (at: Target) =>
    (await git.standings(repository.world, repository.root, [checkout.path], at))[0];
  const save = (at: Target) =>
    git.save(repository.world, checkout, { name: "demo/ann/1", target: at, archives: repository.dir });

  it("is not ahead of it, and nothing is left to save", async () => {
    const to = await inWorkspace({ "list.txt": text("ONE", ...LINES.slice(1)) }, "shout one");
    await landed({ "list.txt": text("ONE", "2", ...LINES.slice(2)) }, "shout one, landed");
    const at = await target({ from: base, to });
    expect(await standing(at)).toMatchObject({ ahead: 0, behind: 1 });
    expect(await save(at)).toBeNull();
    expect(await standing(await target())).toMatchObject({ ahead: 1, behind: 1 });
  });

  it("does not cover what lies below it and is no work of a task", async () => {
    const stray = await inWorkspace({ "stray.txt": "mine\n" }, "stray");
    const to = await inWorkspace({ "list.txt": text("ONE", ...LINES.slice(1)) }, "shout one");
    await landed({ "list.txt": text("ONE", ...LINES.slice(1)) }, "shout one, landed");
    const at = await target({ from: stray, to });
    expect(await standing(at)).toMatchObject({ ahead: 1, behind: 1 });
    expect(await save(at)).toMatchObject({ commits: 1 });
    await git.refresh(repository.world, checkout, at.commit, at.landed);
    expect(repository.read("stray.txt", checkout.path)).toBe("mine\n");
    expect(repository.read("list.txt", checkout.path)).toBe(text("ONE", ...LINES.slice(1)));
  });

  it("stays behind in a refresh, though replaying it would conflict", async () => {
    const to = await inWorkspace({ "list.txt": text("ONE", ...LINES.slice(1)) }, "shout one");
    await inWorkspace({ "next.txt": "next\n" }, "the next task");
    await landed({ "list.txt": text("ONE!", "2", ...LINES.slice(2)) }, "shout one, landed and put right");
    const at = await target({ from: base, to });
    expect(await git.refresh(repository.world, checkout, at.commit)).toMatchObject({ outcome: "conflict" });
    const refreshed = await git.refresh(repository.world, checkout, at.commit, at.landed);
    expect(refreshed).toMatchObject({ outcome: "refreshed", replayed: [{ subject: "the next task" }] });
    expect(repository.read("list.txt", checkout.path)).toBe(text("ONE!", "2", ...LINES.slice(2)));
    expect(repository.read("next.txt", checkout.path)).toBe("next\n");
  });

  it("leaves a checkout at the branch when all of it has landed", async () => {
    const to = await inWorkspace({ "list.txt": text("ONE", ...LINES.slice(1)) }, "shout one");
    const main = await landed({ "list.txt": text("ONE", ...LINES.slice(1)) }, "shout one, landed");
    const at = await target({ from: base, to });
    expect(await git.refresh(repository.world, checkout, at.commit, at.landed)).toMatchObject({ head: main });
    expect(await standing(at)).toMatchObject({ ahead: 0, behind: 0, dirty: 0 });
  });
});

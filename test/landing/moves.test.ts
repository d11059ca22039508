import { chmodSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Exec } from "../../src/exec.js";
import { withLandingLock } from "../../src/landing/lock.js";
import { endInterruptedLandings } from "../../src/landing/settle.js";
import { getLander } from "../../src/vcs/backends.js";
import { openYard, type Yard } from "./yard.js";

const lander = getLander("git");
let yard: Yard;
let from: string;
let to: string;

/** Every kind of change: a file that changes, one that goes, new ones in a new folder, a mode, a link. */
beforeEach(async () => {
  yard = await openYard({ "a.txt": "one\n", "gone/g.txt": "g\n", "run.sh": "echo\n", "README.md": "hello\n" });
  const path = await yard.workspace("build");
  chmodSync(join(path, "run.sh"), 0o755);
  symlinkSync("a.txt", join(path, "link"));
  await yard.finished("build", {
    "a.txt": "one\ntwo\nthree\n",
    "gone/g.txt": null,
    "new/n.txt": "n\n",
    "z.txt": "z\n",
  });
  from = await yard.main();
  to = await yard.repo.gitIn(path, "rev-parse", "HEAD");
});
afterEach(() => yard.end());

/** What a landing leaves that is killed in the middle: its note, its lock of the index, and its copy of it. */
async function leaveMove(): Promise<void> {
  const file = await lander.lockFile(yard.repo.root);
  await withLandingLock(yard.crew, file, { purpose: "build" }, async (lock) => {
    lock.note({ path: yard.repo.root, branch: "main", from, to });
  });
  symlinkSync("mu-landing", join(yard.repo.root, ".git", "index.lock"));
  writeFileSync(join(yard.repo.root, ".git", "mu-landing.index.lock"), "half");
}

/** Writes what the first `count` of the new commit's files are, as git does it. */
const WRITES: readonly (() => void)[] = [
  () => rmSync(join(yard.repo.root, "gone"), { recursive: true }),
  () => rmSync(join(yard.repo.root, "a.txt")),
  () => yard.repo.write({ "a.txt": "" }),
  () => yard.repo.write({ "a.txt": "one\ntw" }),
  () => yard.repo.write({ "a.txt": "one\ntwo\nthree\n" }),
  () => symlinkSync("a.txt", join(yard.repo.root, "link")),
  () => yard.repo.write({ "new/n.txt": "n\n" }),
  () => chmodSync(join(yard.repo.root, "run.sh"), 0o755),
  () => yard.repo.write({ "z.txt": "z\n" }),
];

async function expectClean(commit: string): Promise<void> {
  expect(await yard.main()).toBe(commit);
  expect(await yard.repo.git("status", "--porcelain", "--ignored")).toBe("");
  expect(readdirSync(join(yard.repo.root, ".git")).filter((name) => /\.lock|mu-landing/.test(name))).toEqual([]);
}

describe("a move that was killed", () => {
  it.each(WRITES.map((_, at) => at + 1))("after %i writes is put back, and the work lands", async (count) => {
    await leaveMove();
    for (const write of WRITES.slice(0, count)) write();
    await endInterruptedLandings(yard.crew);
    await yard.land([]).catch(() => {});
    const { landed } = await yard.land();
    expect(landed.length).toBe(1);
    await expectClean(await yard.main());
    expect(await yard.subjects()).toEqual(["work of build"]);
  });

  it.each([0, 3, WRITES.length])("after %i writes and the branch is finished", async (count) => {
    await leaveMove();
    for (const write of WRITES.slice(0, count)) write();
    await yard.repo.git("update-ref", "refs/heads/main", to);
    await yard.land();
    await expectClean(to);
    expect(readdirSync(yard.repo.root)).not.toContain("gone");
  });

  it.each([
    ["empty, as before git has written the commit", "", undefined],
    ["with the commit", "to", undefined],
    ["with the commit, and one of HEAD", "to", ""],
  ])("leaves git's lock of the branch, %s: it goes, and the work lands", async (_, text, head) => {
    await leaveMove();
    for (const write of WRITES) write();
    const git = join(yard.repo.root, ".git");
    writeFileSync(join(git, "refs/heads/main.lock"), text === "to" ? `${to}\n` : text);
    if (head !== undefined) writeFileSync(join(git, "HEAD.lock"), head);
    expect((await yard.land()).landed.length).toBe(1);
    await expectClean(await yard.main());
  });

  it("does not touch a lock of the branch that somebody else has", async () => {
    await leaveMove();
    const lock = join(yard.repo.root, ".git/refs/heads/main.lock");
    writeFileSync(lock, `${from}\n`);
    await expect(yard.land()).rejects.toMatchObject({ code: "vcs.locked" });
    expect(readFileSync(lock, "utf8")).toBe(`${from}\n`);
    rmSync(lock);
    expect((await yard.land()).landed.length).toBe(1);
  });

  it("keeps what the user has written since, and says which files those are", async () => {
    await leaveMove();
    for (const write of WRITES) write();
    yard.repo.write({ "a.txt": "mine\n", "README.md": "mine\n" });
    const remarks: string[] = [];
    await expect(yard.land(undefined, { remark: (text) => remarks.push(text) })).rejects.toMatchObject({
      code: "landing.checkout_dirty",
      details: { files: ["a.txt"] },
    });
    expect(remarks).toEqual([expect.stringContaining("changed since, and are kept: a.txt.")]);
    expect([yard.repo.read("a.txt"), yard.repo.read("README.md")]).toEqual(["mine\n", "mine\n"]);
    expect((await yard.repo.git("status", "--porcelain")).split("\n")).toEqual([" M README.md", " M a.txt"]);
  });

  it("follows the user who has left the branch since", async () => {
    await leaveMove();
    for (const write of WRITES) write();
    await yard.repo.git("branch", "mine");
    await yard.repo.git("symbolic-ref", "HEAD", "refs/heads/mine");
    expect((await yard.land()).landed.length).toBe(1);
    expect(await yard.repo.git("status", "--porcelain")).toBe("");
    expect(yard.repo.read("a.txt")).toBe("one\n");
  });

  it("does not matter when its checkout was deleted", async () => {
    await yard.repo.git("checkout", "-q", "--detach");
    const tree = join(yard.repo.dir, "main tree");
    await yard.repo.git("worktree", "add", "-q", tree, "main");
    const file = await lander.lockFile(yard.repo.root);
    await withLandingLock(yard.crew, file, { purpose: "build" }, async (lock) => {
      lock.note({ path: tree, branch: "main", from, to });
    });
    rmSync(tree, { recursive: true });
    expect((await yard.land()).landed.length).toBe(1);
  });
});

describe("a move that fails", () => {
  it("because no space is left puts the checkout back, and lands when there is some", async () => {
    const { repo, crew } = yard;
    await yard.finished("big", { "a.txt": "big\n", "big.txt": "big\n".repeat(50_000) });
    const { exec } = crew;
    // A file that may not grow beyond 64 kB kills git as it writes, with a part of the file on the disk.
    const limited: Exec = (program, args, options) =>
      args.includes("read-tree") && args.includes("-u")
        ? exec("sh", ["-c", 'ulimit -f 128; exec git "$@"', "sh", ...args], options)
        : exec(program, args, options);
    Object.assign(crew, { exec: limited });
    await expect(yard.land(["big"])).rejects.toMatchObject({ code: "vcs.failed" });
    expect(await repo.git("status", "--porcelain", "--ignored")).toBe("");
    expect(repo.read("a.txt")).toBe("one\n");
    Object.assign(crew, { exec });
    expect((await yard.land(["big"])).landed.length).toBe(1);
    await expectClean(await yard.main());
  });

  it("in a smudge filter puts the checkout back, and says why", async () => {
    const { repo } = yard;
    await repo.commit({ ".gitattributes": "*.txt filter=picky\n" });
    const seen = join(repo.dir, "seen");
    await repo.git("config", "filter.picky.clean", "cat");
    await repo.git(
      "config",
      "filter.picky.smudge",
      `cat > '${seen}'; grep -q three '${seen}' && exit 1; cat '${seen}'`,
    );
    await repo.git("config", "filter.picky.required", "true");
    const refused = await yard.land(undefined, { check: null }).catch((error) => error);
    expect(refused.code).toBe("vcs.failed");
    expect(refused.message).toContain("smudge filter picky failed");
    expect(await repo.git("status", "--porcelain")).toBe("");
    expect(repo.read("a.txt")).toBe("one\n");
    await repo.git("config", "filter.picky.smudge", "cat");
    expect((await yard.land()).landed.length).toBe(1);
    expect(readFileSync(join(repo.root, "a.txt"), "utf8")).toBe("one\ntwo\nthree\n");
  });
});

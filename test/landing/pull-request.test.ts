import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Crew } from "../../src/agents/crew.js";
import { openPullRequest, syncPullRequests } from "../../src/landing/pull-request.js";
import { addNote, listNotes } from "../../src/tasks/notes.js";
import { taskRow } from "../../src/tasks/task.js";
import { changesOf } from "../../src/work/changes.js";
import { describeOnce } from "../support/database.js";
import { openYard, WORKSTREAM, type Yard } from "./yard.js";

const URL = "https://github.com/o/r/pull/1";

/** GitHub's CLI as far as mu uses it: what is open and what `pr view` says are files beside it. */
const GH = `#!/bin/sh
dir=$(dirname "$0")
echo "$@" >> "$dir/calls"
case "$1 $2" in
  "pr list") if [ -f "$dir/open" ]; then printf '[{"url":"%s"}]' "$(cat "$dir/open")"; else echo '[]'; fi ;;
  "pr create") [ ! -f "$dir/broken" ] || { echo "HTTP 502" >&2; exit 1; }
    cat > "$dir/body"; echo ${URL} | tee "$dir/open" ;;
  "pr edit") cat > "$dir/body" ;;
  "pr view") cat "$dir/view" ;;
esac
`;

describeOnce("a pull request", () => {
  let yard: Yard;
  let bin: string;
  let crew: Crew;
  beforeEach(async () => {
    yard = await openYard();
    const bare = join(yard.repo.dir, "remote.git");
    await yard.repo.git("init", "-q", "--bare", "-b", "main", bare);
    await yard.repo.git("remote", "add", "origin", bare);
    await yard.repo.git("push", "-q", "origin", "main");
    bin = join(yard.repo.dir, "bin");
    mkdirSync(bin);
    writeFileSync(join(bin, "gh"), GH, { mode: 0o755 });
    crew = { ...yard.crew, env: { ...yard.crew.env, PATH: `${bin}:${yard.repo.env["PATH"]}` } };
    await yard.finished("build", { "b.txt": "b\n" });
  });
  afterEach(() => yard.end());
  const ref = (name: string) => ({ workstream: WORKSTREAM, name });
  const openOrReturn = (options = {}) => openPullRequest(crew, ref("build"), options);
  const open = async (options = {}) => {
    const opened = await openOrReturn(options);
    if ("why" in opened) throw new Error(opened.reason);
    return opened;
  };
  const code = (error: { code: string }) => error.code;
  const remote = async (branch: string) => (await yard.repo.git("ls-remote", "origin", branch)).split("\t")[0] ?? "";
  const calls = () => readFileSync(join(bin, "calls"), "utf8");
  const again = async (files: Record<string, string>) => {
    const path = await yard.workspace("build");
    const { work_from: from } = await taskRow(crew.context.store.db, ref("build"));
    await yard.closeWith("build", {
      agent: "build",
      from: from ?? "",
      to: await yard.repo.commit(files, "more of build", path),
    });
  };

  it("is opened once, with notes, check and trailers, and updated after that", async () => {
    await addNote(
      crew.context,
      ref("build"),
      { person: "ann" },
      { text: "Mind the gap, ghp_0123456789abcdefghijABCDEFGHIJ012345" },
    );
    const first = await open({ check: "test -e b.txt" });
    expect(first).toMatchObject({ task: "build", url: URL, branch: "mu/build", state: "opened" });
    expect(await remote("mu/build")).toBe(first.commit);
    expect(await yard.repo.git("log", "-1", "--format=%s %P", first.commit ?? "")).toBe(
      `work of build ${await yard.main()}`,
    );
    expect(calls()).toContain("pr create --head mu/build --base main --title build --body-file -");
    const body = readFileSync(join(bin, "body"), "utf8");
    expect(body).toMatch(
      /- \*\*ann\*\* \(note\): Mind the gap, \S*[^0-9A-Za-z_]\S*\n\nCheck: `test -e b.txt` passed after .*\n\nMu-Task: shop\/build\nMu-Audit: shop /,
    );
    expect(await yard.task("build")).toMatchObject({ pullRequest: URL, level: "claimed" });
    expect((await yard.land()).skipped).toBeDefined();

    expect(await open()).toMatchObject({ url: URL, state: "updated", commit: first.commit });
    await again({ "b.txt": "better\n" });
    const second = await open();
    expect(second).toMatchObject({ url: URL, state: "updated" });
    expect(second.commit).not.toBe(first.commit);
    expect(await remote("mu/build")).toBe(second.commit);
    expect(calls().match(/pr create/g)).toHaveLength(1);
  });

  it("is taken up where a call was cut off, and never overwrites what others pushed", async () => {
    writeFileSync(join(bin, "broken"), "");
    expect(await open().catch(code)).toBe("landing.gh_failed");
    expect(await yard.task("build")).toMatchObject({ pullRequest: "mu/build" });
    const pushed = await remote("mu/build");
    rmSync(join(bin, "broken"));
    expect(await open()).toMatchObject({ state: "opened", commit: pushed });

    const other = await yard.repo.commit({ "x.txt": "x\n" }, "by hand");
    await yard.repo.git("push", "-qf", "origin", `${other}:refs/heads/mu/build`);
    await again({ "b.txt": "better\n" });
    expect(await open().catch(code)).toBe("landing.push_failed");
    expect(await remote("mu/build")).toBe(other);
  });

  it("is not opened where its check fails: the task goes back to its owner, as from mu land", async () => {
    const check = "test ! -e b.txt || { echo 'b is there'; false; }";
    expect(await openOrReturn({ check })).toMatchObject({
      ...{ task: "build", why: "red", agent: "build", delivered: false },
      excerpt: expect.stringContaining("b is there"),
    });
    expect(await yard.task("build")).toMatchObject({ status: "OPEN", pullRequest: null });
    const [note] = await listNotes(crew.context.store.db, await taskRow(crew.context.store.db, ref("build")), {});
    expect(note).toMatchObject({ author: "mu", kind: "test" });
    expect(note?.text).toContain("ended with 1 with it on main, and passes without it");
    expect(await remote("mu/build")).toBe("");
    expect(existsSync(join(crew.stateDir, "landing")) ? readdirSync(join(crew.stateDir, "landing")) : []).toEqual([]);

    await again({ "b.txt": "" });
    expect(await open({ check: "test ! -s b.txt" })).toMatchObject({ state: "opened" });
  });

  it("returns nobody's task where the check is red on the branch itself", async () => {
    expect(await open({ check: "false" }).catch(code)).toBe("landing.target_red");
    expect(await yard.task("build")).toMatchObject({ status: "CLOSED" });
  });

  it("pushes nothing that conflicts with the remote's branch", async () => {
    await yard.repo.git("update-ref", "refs/heads/other", await yard.repo.commit({ "b.txt": "theirs\n" }, "theirs"));
    await yard.repo.git("push", "-q", "origin", "other:main");
    await yard.repo.git("reset", "-q", "--hard", "HEAD~1");
    expect(await open({ check: null }).catch(code)).toBe("landing.pr_conflict");
    expect(await remote("mu/build")).toBe("");
    expect(await yard.task("build")).toMatchObject({ status: "CLOSED", pullRequest: null });
  });

  it("says plainly that gh, a remote or commits are missing", async () => {
    rmSync(join(bin, "gh"));
    const empty = join(yard.repo.dir, "empty");
    mkdirSync(empty);
    const git = (await yard.repo.world.exec("sh", ["-c", "command -v git"])).stdout.trim();
    await yard.repo.world.exec("ln", ["-s", git, join(empty, "git")]);
    await yard.repo.world.exec("ln", ["-s", "/bin/sh", join(empty, "sh")]);
    crew = { ...crew, env: { ...crew.env, PATH: empty } };
    expect(await open().catch(code)).toBe("landing.no_gh");
    await yard.repo.git("remote", "remove", "origin");
    expect(await open().catch(code)).toBe("landing.no_remote");
    expect(existsSync(join(bin, "calls"))).toBe(false);
  });

  it("has landed once it is merged, whatever the merge was; closed or stale it is forgotten", async () => {
    const view = (state: string, oid: string | null) =>
      writeFileSync(join(bin, "view"), JSON.stringify({ state, mergeCommit: oid && { oid }, baseRefName: "main" }));
    const { commit } = await open();
    view("OPEN", null);
    expect(await syncPullRequests(crew, WORKSTREAM)).toMatchObject([{ state: "open" }]);
    view("CLOSED", null);
    expect(await syncPullRequests(crew, WORKSTREAM)).toMatchObject([{ state: "closed" }]);
    expect(await yard.task("build")).toMatchObject({ pullRequest: null });

    expect(await open()).toMatchObject({ state: "updated", commit });
    const from = await yard.main();
    await yard.repo.git("merge", "-q", "--no-ff", "-m", "Merge #1", commit ?? "");
    view("MERGED", await yard.main());
    expect(await syncPullRequests(crew, WORKSTREAM, ["build"])).toMatchObject([{ state: "merged" }]);
    expect(await yard.task("build")).toMatchObject({ level: "landed", landedCommit: await yard.main() });
    expect(await syncPullRequests(crew, WORKSTREAM)).toEqual([]);
    const { db } = crew.context.store;
    const changes = await changesOf(crew, db, await taskRow(db, ref("build")));
    expect(changes.spans).toEqual([{ from, to: await yard.main() }]);
  });

  it("is stale if the task has newer commits than what was merged", async () => {
    await open();
    await again({ "b.txt": "better\n" });
    writeFileSync(
      join(bin, "view"),
      JSON.stringify({ state: "MERGED", mergeCommit: { oid: "abc" }, baseRefName: "main" }),
    );
    expect(await syncPullRequests(crew, WORKSTREAM)).toMatchObject([{ state: "stale" }]);
    expect(await yard.task("build")).toMatchObject({ level: "claimed", pullRequest: null });
  });
});

import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Crew } from "../../src/agents/crew.js";
import type { Store } from "../../src/db/store.js";
import { approveCommands } from "../../src/workspaces/setup/command.js";
import { setUpWorkspace } from "../../src/workspaces/setup/setup.js";
import type { SetupSettings } from "../../src/workstreams/settings.js";
import { contextOn, describeOnce, onEachDialect, openTestStore } from "../support/database.js";
import { newRepository, type Repository } from "../support/repository.js";
import { crewOn, reservedRow, setupOf } from "../support/workspace-setup.js";

let repository: Repository;
let store: Store;
let crew: Crew;
let path: string;
let row: Awaited<ReturnType<typeof reservedRow>>;

beforeEach(async () => {
  repository = await newRepository({
    ".gitignore": ".env*\nnode_modules/\ncache/\n*.local\n",
    "README.md": "hello\n",
    "config/base.json": "{}\n",
  });
  store = await openTestStore(join(repository.dir, "mu.db"));
  crew = crewOn(contextOn(store), repository);
  path = join(repository.dir, "workspaces", "ann");
  await repository.git("worktree", "add", "-q", "--detach", path);
  row = await reservedRow(crew.context, { root: repository.root, path });
});
afterEach(async () => {
  await store.close();
  repository.end();
});

const setUp = (settings: Partial<SetupSettings> = {}) =>
  setUpWorkspace(crew, { workspace: row, settings: setupOf(settings) });
const read = (name: string) => readFileSync(join(path, name), "utf8");
const status = () => repository.gitIn(path, "status", "--porcelain");

describeOnce("a link and a setup command", () => {
  it.each([
    ["node_modules", "npm ci"],
    ["/node_modules/", "cd web && pnpm --frozen-lockfile install"],
    ["packages/*/node_modules", "yarn"],
    ["**/node_modules", "npm --silent ci && npm test"],
    [".venv", "uv sync"],
    ["venv", "python3 -m venv venv"],
    ["vendor", "composer install"],
    ["target", "cargo build"],
  ])("do not go together if the command would write into the project: %s, %s", async (pattern, command) => {
    const refused = { code: "setup.writes_through_link", details: { command, link: pattern } };
    await expect(setUp({ link: [pattern], command })).rejects.toMatchObject(refused);
  });

  it("do not go together either where a pattern only matches such a folder; others do", async () => {
    repository.write({ "node_modules/a/index.js": "1\n", "cache/data": "1\n" });
    const refused = { code: "setup.writes_through_link", details: { link: "node_modules/" } };
    await expect(setUp({ link: ["node*"], command: "npm ci" })).rejects.toMatchObject(refused);
    expect(existsSync(join(path, "node_modules"))).toBe(false);
    const command = "npm run build; yarn test";
    await setUp({ link: ["node_modules"], command: `true || { ${command}; }` });
    await setUp({ link: ["cache"], copy: [], command: "true # npm ci" });
    expect(readFileSync(join(repository.root, "node_modules/a/index.js"), "utf8")).toBe("1\n");
  });
});

describeOnce("files of a new workspace", () => {
  it("are the ignored ones that .worktreeinclude names, folders whole, and none that is tracked or not ignored", async () => {
    repository.write({
      ".worktreeinclude": ".env\nnode_modules/\ncache/keep\n*.local\n!no.local\nnew.txt\nREADME.md\n",
      ".env": "SECRET=1\n",
      "sub/.env": "SECRET=2\n",
      ".env.other": "no\n",
      "node_modules/a/index.js": "1\n",
      "cache/keep": "yes\n",
      "cache/drop": "no\n",
      "config/my.local": "mine\n",
      "no.local": "no\n",
      "new.txt": "neither tracked nor ignored\n",
      "README.md": "changed in the root\n",
    });
    symlinkSync("a/index.js", join(repository.root, "node_modules", "link"));
    const { copied } = await setUp();
    expect(copied.sort()).toEqual([".env", "cache/keep", "config/my.local", "node_modules/", "sub/.env"]);
    expect(readlinkSync(join(path, "node_modules", "link"))).toBe("a/index.js");
    expect(read("README.md")).toBe("hello\n");
    expect(await status()).toBe("");
  });

  it("are what the settings name, and what is there already stays as it is", async () => {
    repository.write({ ".env": "theirs\n", "odd names/a b\n.txt": "x", "my.local": "y" });
    expect((await setUp({ copy: [".env", "odd names/"] })).copied.sort()).toEqual([".env", "odd names/"]);
    writeFileSync(join(path, ".env"), "mine\n");
    expect((await setUp({ copy: [".env", "*.local"] })).copied).toEqual(["my.local"]);
    expect([read(".env"), read("odd names/a b\n.txt")]).toEqual(["mine\n", "x"]);
  });

  it("are links to the project's own where that is asked for, and git does not want to commit them", async () => {
    repository.write({ "node_modules/a.js": "1\n", ".env": "x\n" });
    expect((await setUp({ link: ["node_modules", ".env"] })).linked.sort()).toEqual([".env", "node_modules/"]);
    expect(readlinkSync(join(path, "node_modules"))).toBe(join(repository.root, "node_modules"));
    expect(await status()).toBe("");
    await setUp({ link: ["node_modules", ".env"] });
    const excluded = await repository.git("rev-parse", "--git-path", "info/exclude");
    expect(repository.read(excluded).match(/node_modules/g)).toHaveLength(1);
  });

  it("come from the repository's own file too", async () => {
    repository.write({ ".mu/workspace.yaml": "copy: [.env]\nlink: [cache]\nports: 1\n", ".env": "x\n", "cache/a": "" });
    const { copied, linked, ports } = await setUp();
    expect([copied, linked, ports.length]).toEqual([[".env"], ["cache/"], 1]);
  });

  it("never go through a symlink out of the workspace", async () => {
    const elsewhere = join(repository.dir, "elsewhere");
    mkdirSync(elsewhere);
    repository.write({ ".env": "x\n", "config/.env": "SECRET=1\n" });
    rmSync(join(path, "config"), { recursive: true });
    symlinkSync(elsewhere, join(path, "config"));
    await expect(setUp({ copy: [".env"] })).rejects.toMatchObject({ code: "setup.outside" });
    await expect(setUp({ link: [".env"] })).rejects.toMatchObject({ code: "setup.outside" });
    expect(existsSync(join(elsewhere, ".env"))).toBe(false);
  });

  it("do not come through patterns that lead out of the project, nor out of .git", async () => {
    writeFileSync(join(repository.dir, "outside.txt"), "x");
    repository.write({ ".worktreeinclude": "../outside.txt\n.git/config\n/etc/passwd\n" });
    const patterns = ["../outside.txt", ".git", "/etc/passwd"];
    expect(await setUp({ copy: patterns, link: patterns })).toMatchObject({ copied: [], linked: [] });
  });

  it("do not hold the workspaces themselves", async () => {
    const inside = join(repository.root, "cache", "workspaces", "bob");
    await repository.git("worktree", "add", "-q", "--detach", inside);
    const bob = await reservedRow(crew.context, { root: repository.root, path: inside, agent: "bob" });
    const settings = setupOf({ copy: ["cache/"] });
    expect(await setUpWorkspace(crew, { workspace: bob, settings })).toMatchObject({ copied: [] });
  });

  it("stay where they are for a bare repository, and for a copy, which has them all", async () => {
    const bare = join(repository.dir, "bare.git");
    await repository.gitIn(repository.dir, "clone", "-q", "--bare", repository.root, bare);
    const settings = setupOf({ copy: [".env"] });
    for (const place of [{ root: bare }, { root: repository.root, backend: "none" }])
      expect(await setUpWorkspace(crew, { workspace: { ...row, ...place }, settings })).toMatchObject({ copied: [] });
  });

  it("are found with git's patterns where another version control has the project", async () => {
    repository.write({ ".worktreeinclude": ".env\nREADME.md\n", ".env": "x\n" });
    rmSync(join(repository.root, ".git"), { recursive: true });
    rmSync(join(path, ".git"));
    expect(await setUpWorkspace(crew, { workspace: { ...row, backend: "jj" }, settings: setupOf() })).toMatchObject({
      copied: [".env"],
    });
  });

  it("are refused when the repository's file is no such file", async () => {
    for (const text of ["copy: [../x]", "commnad: x", "- a", "ports: many", "a: [", "command: [1]"]) {
      repository.write({ ".mu/workspace.yaml": text });
      await expect(setUp()).rejects.toMatchObject({ code: "setup.invalid_file", kind: "conflict" });
    }
  });
});

describeOnce("the command of a new workspace", () => {
  it("runs in it, knows where it is, and its output is kept for its owner alone", async () => {
    const { command, ports } = await setUp({
      command:
        'echo "$MU_WORKSTREAM $MU_AGENT $MU_PORT_0 $MU_PORT_1"; pwd; test "$MU_WORKSPACE" = "$PWD" && ls "$MU_PROJECT_ROOT"',
      ports: 2,
    });
    const log = readFileSync(command?.log ?? "", "utf8");
    expect(log).toBe(`demo ann ${ports[0]} ${ports[1]}\n${path}\nREADME.md\nconfig\n`);
    expect(command?.log).toBe(join(crew.stateDir, "logs", "setup", "demo", "ann.log"));
    expect(statSync(command?.log ?? "").mode & 0o777).toBe(0o600);
  });

  it("that is red says how, with its last lines, and what can be done", async () => {
    const failed = await setUp({ command: "seq 1000; echo 'no such package' >&2; exit 3" }).catch((fault) => fault);
    expect(failed).toMatchObject({ code: "setup.failed", kind: "negative", exitCode: 1 });
    expect(failed.message).toContain("exited with 3");
    expect(failed.message).toContain("no such package");
    expect(failed.details).toMatchObject({ exitCode: 3, timedOut: false });
    expect(readFileSync(failed.details.log, "utf8")).toContain("\n1000\n");
  });

  it("that hangs is ended with all it started", async () => {
    const mark = join(path, "late");
    const command = `(sleep 30; touch ${mark}) & wait`;
    await expect(setUp({ command, timeoutSeconds: 1 })).rejects.toMatchObject({
      code: "setup.failed",
      details: { timedOut: true, exitCode: null },
    });
    expect(existsSync(mark)).toBe(false);
  });

  it("may print without end: the log is bounded", async () => {
    const { command } = await setUp({ command: "head -c 40000000 /dev/zero | tr '\\0' 'x'; echo done" });
    expect(statSync(command?.log ?? "").size).toBeLessThan(17 * 1024 * 1024);
  });

  it("of a log that somebody put a symlink at does not write through it", async () => {
    const target = join(repository.dir, "precious");
    writeFileSync(target, "x");
    mkdirSync(join(crew.stateDir, "logs", "setup", "demo"), { recursive: true });
    symlinkSync(target, join(crew.stateDir, "logs", "setup", "demo", "ann.log"));
    await setUp({ command: "echo hello" });
    expect(readFileSync(target, "utf8")).toBe("x");
    expect(lstatSync(join(crew.stateDir, "logs", "setup", "demo", "ann.log")).isFile()).toBe(true);
  });
});

onEachDialect("a command that the repository brings", (bench) => {
  const theirs = "echo from the repository";
  const there = async () => {
    const workspace = await reservedRow(bench.context, { root: repository.root, path });
    return () => setUpWorkspace(crewOn(bench.context, repository), { workspace, settings: setupOf() });
  };

  it("runs once a person has approved it, and is asked for again when it changes", async () => {
    repository.write({ ".mu/workspace.yaml": `command: ${theirs}\n` });
    const run = await there();
    const refused = await run().catch((fault) => fault);
    expect(refused).toMatchObject({ code: "setup.not_approved", kind: "conflict", details: { command: theirs } });
    expect(refused.nextSteps[0].command).toBe("mu workspace setup --approve -w demo");
    expect(existsSync(join(repository.dir, "state", "logs"))).toBe(false);

    const foreign = { root: repository.root, command: theirs };
    expect(await approveCommands(bench.context, "demo", [foreign])).toEqual([theirs]);
    expect(await approveCommands(bench.context, "demo", [foreign])).toEqual([]);
    expect((await run()).command?.command).toBe(theirs);

    repository.write({ ".mu/workspace.yaml": `command: ${theirs}; rm -rf x\n` });
    await expect(run()).rejects.toMatchObject({ code: "setup.not_approved" });
  });

  it("does not count where the person has one of their own", async () => {
    repository.write({ ".mu/workspace.yaml": `command: ${theirs}\n` });
    const workspace = await reservedRow(bench.context, { root: repository.root, path });
    const settings = setupOf({ command: "echo mine" });
    const done = await setUpWorkspace(crewOn(bench.context, repository), { workspace, settings });
    expect(done.command?.command).toBe("echo mine");
  });

  it("was approved for one repository, not for another", async () => {
    repository.write({ ".mu/workspace.yaml": `command: ${theirs}\n` });
    const run = await there();
    await approveCommands(bench.context, "demo", [{ root: "/elsewhere", command: theirs }]);
    await expect(run()).rejects.toMatchObject({ code: "setup.not_approved" });
  });
});

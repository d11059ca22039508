import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readSettings } from "../../src/project/read.js";
import { type Home, newHome } from "../support/cli.js";

let home: Home;
beforeEach(() => {
  home = newHome();
});
afterEach(() => home.end());

const SETTINGS = ".mu/settings.json";
const SKILL = ".claude/skills/mu-jobs/SKILL.md";

const at = (path: string) => join(home.project, path);
const put = (files: Readonly<Record<string, string>>) => {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(at(path)), { recursive: true });
    writeFileSync(at(path), text);
  }
};
const textOf = (path: string) => readFileSync(at(path), "utf8");
const modulesOf = () => JSON.parse(textOf(SETTINGS)).modules;
/** Every file of the project, with its text and when it was written. */
const filesOf = () =>
  readdirSync(home.project, { recursive: true, encoding: "utf8" })
    .filter((path) => !path.startsWith(".git/") && statSync(at(path)).isFile())
    .map((path) => [path, textOf(path), statSync(at(path)).mtimeMs, statSync(at(path)).ino]);
const sync = (line = "", options = {}) => home.here(`sync --json ${line}`, options);
const synced = async (line = "") => {
  const { code, json, stderr } = await sync(line);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return json();
};
const git = (...args: string[]) => execFileSync("git", args, { cwd: home.project, env: home.env, stdio: "pipe" });

describe("mu sync", () => {
  it("writes the tree into the settings and installs the skill, and changes nothing the second time", async () => {
    git("init", "-q");
    put({ "_shop.md": "", "api/_api.md": "", "api/auth/_auth.md": "", "web/_web.md": "" });
    const first = await home.here("sync");
    expect(first.stdout.trim().split("\n")).toEqual([
      "4 modules, 3 changes",
      "  new: shop, api, auth, web",
      `  wrote ${SETTINGS}`,
      "  wrote .gitignore",
      `  wrote ${SKILL}`,
    ]);
    expect(JSON.parse(textOf(SETTINGS))).toEqual({
      modules: {
        shop: { path: "_shop.md", parent: null },
        api: { path: "api/_api.md", parent: "shop" },
        auth: { path: "api/auth/_auth.md", parent: "api" },
        web: { path: "web/_web.md", parent: "shop" },
      },
    });
    expect(textOf(SKILL)).toMatch(/^---\nname: mu-jobs\n/);
    expect(textOf(".gitignore")).toBe(".mu/jobs/local-*/\n.mu/jobs/.archive/local-*/\n.mu/jobs/.deleted/\n");
    expect(await readSettings(home.project)).toMatchObject({ roles: {}, linear: { teamPrefix: "", teamId: "" } });

    const before = filesOf();
    expect((await home.here("sync")).stdout).toBe("4 modules, 0 changes\n");
    expect(await synced()).toMatchObject({ changes: [], added: [], removed: [], warnings: [], dryRun: false });
    expect(filesOf()).toEqual(before);
  });

  it("follows modules that come, move and go, and keeps their rules", async () => {
    put({ "api/_api.md": "", "web/_web.md": "", ".mu/rules/work/web.md": "rule" });
    await synced();
    put({ "cli/_cli.md": "", "server/_api.md": "" });
    rmSync(at("web"), { recursive: true });
    rmSync(at("api"), { recursive: true });
    expect(await synced("--dry-run")).toMatchObject({ changes: [SETTINGS], added: ["cli"], removed: ["web"] });
    expect(Object.keys(modulesOf())).toEqual(["api", "web"]);
    expect(await synced()).toMatchObject({ changes: [SETTINGS], added: ["cli"], removed: ["web"], dryRun: false });
    expect(modulesOf()).toEqual({
      cli: { path: "cli/_cli.md", parent: null },
      api: { path: "server/_api.md", parent: null },
    });
    expect(textOf(".mu/rules/work/web.md")).toBe("rule");
    rmSync(at("cli"), { recursive: true });
    rmSync(at("server"), { recursive: true });
    expect(await synced()).toMatchObject({ modules: [], removed: ["cli", "api"] });
    expect(modulesOf()).toEqual({});
  });

  it("writes nothing with --dry-run, and no settings where there is no module", async () => {
    expect((await home.here("sync --dry-run")).stdout).toBe(
      `0 modules, 2 changes (not written)\n  would write .gitignore\n  would write ${SKILL}\n`,
    );
    expect(filesOf()).toEqual([]);
    await synced();
    expect(existsSync(at(SETTINGS))).toBe(false);
  });

  it.each([
    ["two spaces", '{\n  "projectName": "shop",\n  "roles": {\n    "code": { "cli": "pi" }\n  },\n  "linear": {}\n}\n'],
    ["tabs", '{\n\t"roles": {\n\t\t"code": {}\n\t},\n\t"projectName": "shop"\n}'],
    ["Windows lines and a byte order mark", '\ufeff{\r\n    "projectName": "shop"\r\n}\r\n'],
    ["one line", '{"projectName":"shop","budget":{"projectCeilingUsd":1e1}}'],
    ["an old tree in the middle", '{\n  "projectName": "a",\n  "modules": { "x": 1 },\n  "roles": {}\n}\n'],
  ])("leaves the rest of the settings as it is: %s", async (_kind, before) => {
    put({ [SETTINGS]: before, "api/_api.md": "" });
    await synced();
    const after = textOf(SETTINGS);
    const [old, now] = [before, after].map((text) => JSON.parse(text.replace("\ufeff", "")));
    expect(now).toEqual({ ...old, modules: { api: { path: "api/_api.md", parent: null } } });
    expect(Object.keys(now).filter((key) => key !== "modules")).toEqual(
      Object.keys(old).filter((key) => key !== "modules"),
    );
    // Without the tree, each line is still there as it was, but for a comma.
    const lines = (text: string) => text.split(/(?<=\n)/).map((line) => line.replace(/,?(\r?\n)?$/, "$1"));
    if (before.includes("\n")) {
      const kept = lines(before).filter((line) => !line.includes("modules") && !/^}/.test(line));
      expect(lines(after)).toEqual(expect.arrayContaining(kept));
    }
    expect(after.includes("\r\n")).toBe(before.includes("\r\n"));
    expect(after.includes("\t")).toBe(before.includes("\t"));
    expect(after.startsWith("\ufeff")).toBe(before.startsWith("\ufeff"));
    expect(after.replace(/\r\n/g, "")).not.toMatch(before.includes("\r\n") ? /\n/ : /\r/);
    const files = filesOf();
    expect((await synced()).changes).toEqual([]);
    expect(filesOf()).toEqual(files);
  });

  it.each([
    ["no JSON", "{"],
    ["empty", ""],
    ["a mistake", '{"budget": 3}'],
    ["a tree that is none", '{"modules": []}'],
    ["the key twice", '{"modules": {}, "modules": {}}'],
  ])("refuses broken settings and touches nothing: %s", async (_kind, text) => {
    put({ [SETTINGS]: text, "api/_api.md": "" });
    const before = filesOf();
    expect((await sync()).fault()).toMatchObject({ code: "settings.invalid", exitCode: 2 });
    expect(filesOf()).toEqual(before);
  });

  it("refuses settings that are a folder or no UTF-8", async () => {
    mkdirSync(at(SETTINGS), { recursive: true });
    expect((await sync()).fault()).toMatchObject({ code: "settings.invalid" });
    rmSync(at(SETTINGS), { recursive: true });
    put({ "api/_api.md": "" });
    const bytes = Buffer.concat([Buffer.from('{"projectName":"'), Buffer.from([0xe9]), Buffer.from('"}')]);
    writeFileSync(at(SETTINGS), bytes);
    expect((await sync()).fault()).toMatchObject({ code: "hooks.settings_unreadable", exitCode: 2 });
    expect(readFileSync(at(SETTINGS))).toEqual(bytes);
  });

  it("adds each of its lines to .gitignore once, in the file's own way", async () => {
    const rest = ".mu/jobs/.archive/local-*/\r\n.mu/jobs/.deleted/\r\n";
    put({ ".gitignore": "dist\r\nlogs" });
    await synced();
    expect(textOf(".gitignore")).toBe(`dist\r\nlogs\r\n.mu/jobs/local-*/\r\n${rest}`);
    expect((await synced()).changes).toEqual([]);
    put({ ".gitignore": "/.mu/jobs/local-*  \r\n" });
    await synced();
    expect(textOf(".gitignore")).toBe(`/.mu/jobs/local-*  \r\n${rest}`);
    const git = (...words: string[]) => execFileSync("git", words, { cwd: home.project, encoding: "utf8" });
    git("init", "-q");
    for (const folder of ["local-a", ".archive/local-a", ".archive/shared", ".deleted/shared"])
      put({ [`.mu/jobs/${folder}/task.md`]: "" });
    const seen = git("status", "--porcelain", "-uall").match(/\.mu\/jobs\S+/g);
    expect(seen).toEqual([".mu/jobs/.archive/shared/task.md"]);
  });

  it("renews a skill that nobody has edited, and puts a new one beside one that somebody has", async () => {
    await synced();
    const own = textOf(SKILL);
    const [body = "", mark = ""] = own.split(/\n(?=<!-- mu sync)/);
    // What another release would have written: its text, and its hash.
    const other = `${body}more\n`;
    const hash = createHash("sha256").update(other).digest("hex");
    put({ [SKILL]: `${other}\n${mark.replace(/[0-9a-f]{64}/, hash)}` });
    expect(await synced()).toMatchObject({ changes: [SKILL], warnings: [] });
    expect(textOf(SKILL)).toBe(own);

    for (const edited of [own.replace("modules", "my modules"), `${own}mine\n`, "mine\n", ""]) {
      put({ [SKILL]: edited });
      rmSync(at(`${SKILL}.new`), { force: true });
      const { changes, warnings } = await synced();
      expect(changes).toEqual([`${SKILL}.new`]);
      expect(warnings).toMatchObject([{ code: "sync.skill_edited" }]);
      expect([textOf(SKILL), textOf(`${SKILL}.new`)]).toEqual([edited, own]);
      expect(await synced()).toMatchObject({ changes: [], warnings: [{ code: "sync.skill_edited" }] });
    }
    expect((await home.here("sync")).stdout).toContain("was edited and stays as it is");
  });

  it("writes through links, and refuses those that lead nowhere", async () => {
    put({ "api/_api.md": "", "config/mu.json": "{}\n", "config/SKILL.md": "" });
    mkdirSync(at(".mu"));
    symlinkSync("../config/mu.json", at(SETTINGS));
    await synced();
    expect(lstatSync(at(SETTINGS)).isSymbolicLink()).toBe(true);
    expect(JSON.parse(textOf("config/mu.json")).modules).toHaveProperty("api");

    rmSync(at(SKILL));
    symlinkSync(join(home.folder, "nowhere.md"), at(SKILL));
    put({ "web/_web.md": "" });
    const before = textOf("config/mu.json");
    expect((await sync()).fault()).toMatchObject({ code: "sync.dangling_link", exitCode: 4 });
    expect(existsSync(join(home.folder, "nowhere.md"))).toBe(false);
    expect(textOf("config/mu.json")).toBe(before);
    rmSync(at(SKILL));
    symlinkSync("SKILL.md", at(SKILL));
    expect((await sync()).fault()).toMatchObject({ code: "sync.dangling_link" });
  });

  it("is about the project around the folder it is called in, or the one it is told", async () => {
    put({ "api/_api.md": "", "api/v1/_v1.md": "", [SETTINGS]: "{}" });
    expect(await (await sync("", { cwd: at("api/v1") })).json()).toMatchObject({
      changes: [SETTINGS, ".gitignore", SKILL],
    });
    expect(Object.keys(modulesOf())).toEqual(["api", "v1"]);
    put({ "../other/_o.md": "", "../other/sub/_s.md": "" });
    execFileSync("git", ["init", "-q"], { cwd: at("../other"), env: home.env });
    const inRepository = (await sync("", { cwd: at("../other/sub") })).json();
    expect([inRepository.root, inRepository.added]).toEqual([join(home.folder, "other"), ["o", "s"]]);
    expect((await synced("--dir ../other/sub --dry-run")).added).toEqual(["s"]);
    expect((await sync("--dir nowhere")).fault()).toMatchObject({ code: "vcs.no_folder", exitCode: 3 });
    expect(existsSync(at("nowhere"))).toBe(false);
  });

  it("says what cannot be written", async () => {
    put({ "api/_api.md": "", ".mu": "a file\n" });
    expect((await sync()).fault()).toMatchObject({ code: "hooks.not_writable", exitCode: 5 });
    expect(textOf(".mu")).toBe("a file\n");
  });

  it("tears nothing and loses no key with several at once", async () => {
    const many = Array.from({ length: 60 }, (_, n) => [`m${n}/_m${n}.md`, ""]);
    put({ ...Object.fromEntries(many), [SETTINGS]: '{\n  "projectName": "0"\n}\n' });
    for (let round = 1; round <= 3; round++) {
      rmSync(at(`m${round}`), { recursive: true });
      const runs = Array.from({ length: 3 }, () => home.mu("sync --json"));
      // Whoever reads meanwhile sees a whole file.
      const settled = Promise.all(runs);
      let isOver = false;
      void settled.then(() => {
        isOver = true;
      });
      while (!isOver) {
        expect(JSON.parse(textOf(SETTINGS)).projectName).toBe(String(round - 1));
        await new Promise(setImmediate);
      }
      const ended = await settled;
      expect(ended.map(({ code, stderr }) => ({ code, stderr }))).toEqual(runs.map(() => ({ code: 0, stderr: "" })));
      const whole = JSON.parse(textOf(SETTINGS));
      expect([whole.projectName, Object.keys(whole.modules).length]).toEqual([String(round - 1), 60 - round]);
      put({ [SETTINGS]: textOf(SETTINGS).replace(/"projectName": "\d+"/, `"projectName": "${round}"`) });
    }
    expect(readdirSync(at(".mu"))).toEqual(["settings.json"]);
  });
});

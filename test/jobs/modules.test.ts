import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { docsFor, findModules, type Module, rulesFor, scanModules } from "../../src/jobs/modules.js";
import { newRepository, type Repository } from "../support/repository.js";
import { fewOf } from "../support/sample.js";

let repository: Repository;
beforeEach(async () => {
  repository = await newRepository({ "README.md": "hello\n", "src/main.ts": "" });
});
afterEach(() => repository.end());

const scan = (root = repository.root) => scanModules(repository.world, root);
const namesOf = (modules: readonly Module[]) => modules.map(({ name }) => name);
const put = (root: string, path: string, text: string | Uint8Array = "# text\n") => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
};
/** A folder that no repository is around, with these files. */
const plainFolder = (files: Readonly<Record<string, string>>) => {
  const root = mkdtempSync(join(repository.dir, "plain-"));
  for (const [path, text] of Object.entries(files)) put(root, path, text);
  return root;
};

describe("the scan for modules", () => {
  it("finds documents, committed or not, and nests them by their folders", async () => {
    await repository.commit({ "_app.md": "", "api/_api.md": "", "api/v1/auth/_auth.md": "" });
    repository.write({ "web/_web.md": "", "docs/notes.md": "", "api/_api.txt": "" });
    expect(await scan()).toEqual({
      modules: [
        { name: "app", path: "_app.md", folder: ".", parent: null },
        { name: "api", path: "api/_api.md", folder: "api", parent: "app" },
        { name: "auth", path: "api/v1/auth/_auth.md", folder: "api/v1/auth", parent: "api" },
        { name: "web", path: "web/_web.md", folder: "web", parent: "app" },
      ],
      warnings: [],
    });
  });

  it("is about the project folder, also where that is a part of a repository", async () => {
    repository.write({ "_top.md": "", "shop/_shop.md": "", "shop/cart/_cart.md": "" });
    const { modules } = await scan(join(repository.root, "shop"));
    expect(modules.map(({ name, path, parent }) => [name, path, parent])).toEqual([
      ["shop", "_shop.md", null],
      ["cart", "cart/_cart.md", "shop"],
    ]);
  });

  it("leaves out what git ignores, node_modules, jobs, rules, and names that are none", async () => {
    repository.write({
      ".gitignore": "/out/\nlocal/_*.md\n",
      "out/_out.md": "",
      "local/_mine.md": "",
      "deep/.gitignore": "_gone.md\n!_kept.md\n",
      "deep/_gone.md": "",
      "deep/_kept.md": "",
      "node_modules/a/_a.md": "",
      ".mu/jobs/one/_plan.md": "",
      ".mu/rules/work/_all.md": "",
      ".mixer/sessions/s/_s.md": "",
      "pkg/__init__.md": "",
      "pkg/_.md": "",
      "pkg/_x.mdx": "",
    });
    const found = await scan();
    expect([namesOf(found.modules), found.warnings]).toEqual([["kept"], []]);
    await repository.git("add", "-Af", "node_modules");
    expect(namesOf((await scan()).modules)).toEqual(["kept"]);
  });

  it("finds the same in a plain folder as in a repository", async () => {
    const files = {
      ".gitignore": "*.tmp\nbuild/\n/only-here/\n!build/_never.md\n",
      "a/.gitignore": "_x.md\n",
      "a/_x.md": "",
      "a/_y.md": "",
      "a/b/.gitignore": "!_x.md\n",
      "a/b/_x.md": "",
      "build/_never.md": "",
      "a/build/_neither.md": "",
      "only-here/_top.md": "",
      "a/only-here/_deep.md": "",
      "node_modules/_m.md": "",
    };
    repository.write(files);
    const found = await scan();
    expect(namesOf(found.modules)).toEqual(["y", "x", "deep"]);
    expect(await scan(plainFolder(files))).toEqual(found);
  });

  it("qualifies a name that two folders have, and warns of two documents in one", async () => {
    repository.write({ "_core.md": "", "api/_core.md": "", "api/_api.md": "", "web/_web.md": "", "web/ui/_ui.md": "" });
    const { modules, warnings } = await scan();
    expect(modules.map(({ name, parent }) => [name, parent])).toEqual([
      ["./core", null],
      ["api", "./core"],
      ["api/core", "./core"],
      ["web", "./core"],
      ["ui", "web"],
    ]);
    expect(warnings).toEqual([
      { code: "module.same_folder", message: 'The folder "api" has 2 modules: api, api/core.' },
    ]);
  });

  it("does not follow links, and forgets what is gone", async () => {
    const outside = plainFolder({ "_secret.md": "secret", "in/_inner.md": "" });
    await repository.commit({ "was/_was.md": "", "gone/_gone.md": "", "real/_real.md": "" });
    rmSync(join(repository.root, "was"), { recursive: true });
    rmSync(join(repository.root, "gone"), { recursive: true });
    symlinkSync(join(outside, "in"), join(repository.root, "was"));
    writeFileSync(join(outside, "in", "_was.md"), "");
    symlinkSync(join(outside, "_secret.md"), join(repository.root, "real", "_secret.md"));
    symlinkSync("..", join(repository.root, "real", "round"));
    mkdirSync(join(repository.root, "real", "_folder.md"));
    const found = await scan();
    expect([namesOf(found.modules), found.warnings]).toEqual([["real"], []]);
    rmSync(join(repository.root, ".git"), { recursive: true });
    expect(await scan()).toEqual(found);
  });

  it("finds a project through a link to it", async () => {
    repository.write({ "api/_api.md": "" });
    const link = join(repository.dir, "link");
    symlinkSync(repository.root, link);
    expect(namesOf((await scan(link)).modules)).toEqual(["api"]);
  });

  it("tells of documents that are no text, or whose names cannot be used", async () => {
    put(repository.root, "a/_binary.md", Buffer.from([35, 0, 1]));
    put(repository.root, "a/_late.md", `${"x".repeat(9_000)}\0`);
    put(repository.root, `a/_${"n".repeat(101)}.md`);
    put(repository.root, "a/_one,two.md");
    put(repository.root, "a/_line\nbreak.md");
    put(repository.root, "a/_ende .md");
    put(repository.root, "a/_größe 2.md");
    put(repository.root, "a/_constructor.md");
    const { modules, warnings } = await scan();
    expect(namesOf(modules)).toEqual(["constructor", "größe 2", "late"]);
    expect(warnings.map(({ code }) => code).sort()).toEqual(
      ["binary", "name", "name", "name", "name", "same_folder"].map((code) => `module.${code}`),
    );
    expect(warnings.map(({ message }) => message).join("\n")).not.toMatch(/line\nbreak/);
  });

  it.runIf(process.getuid?.() !== 0)("tells of a document that cannot be read", async () => {
    put(repository.root, "a/_closed.md");
    execFileSync("chmod", ["000", join(repository.root, "a/_closed.md")]);
    const { modules, warnings } = await scan();
    expect([modules, warnings.map(({ code }) => code)]).toEqual([[], ["module.unreadable"]]);
  });

  it("lists a document once while a merge is open", async () => {
    await repository.commit({ "a/_a.md": "one\n" });
    await repository.git("switch", "-qc", "other");
    await repository.commit({ "a/_a.md": "two\n" });
    await repository.git("switch", "-q", "main");
    await repository.commit({ "a/_a.md": "three\n" });
    await expect(repository.git("merge", "other")).rejects.toThrow(/CONFLICT|ended with 1/);
    expect(namesOf((await scan()).modules)).toEqual(["a"]);
  });

  it("refuses a folder that is not there, and works where git is not installed", async () => {
    await expect(scan(join(repository.root, "nowhere"))).rejects.toMatchObject({ code: "vcs.no_folder" });
    repository.write({ ".gitignore": "out\n", "out/_out.md": "", "api/_api.md": "" });
    const without = { ...repository.world, env: { PATH: join(repository.dir, "empty") } };
    expect(namesOf((await scanModules(without, repository.root)).modules)).toEqual(["api"]);
  });

  it("holds its laws in any tree, and git and the walk agree", async () => {
    const part = fc.constantFrom("a", "b", "ab", ".c", "node_modules");
    const doc = fc.constantFrom("_a.md", "_b.md", "_.md", "__a.md", "a.md", "_a-b.md");
    const path = fc.tuple(fc.array(part, { maxLength: 3 }), doc).map(([folders, name]) => [...folders, name].join("/"));
    const ignored = fc.tuple(
      fc.array(part, { maxLength: 2 }).map((folders) => [...folders, ".gitignore"].join("/")),
      fc.array(fc.constantFrom("a", "/b", "_a.md", "!_a.md", "ab/", "a/**", "**/b/", "*-b.md", "#a"), { maxLength: 3 }),
    );
    const tree = fc.record({
      paths: fc.uniqueArray(path, { maxLength: 12 }),
      ignores: fc.uniqueArray(ignored, { maxLength: 2, selector: ([file]) => file }),
    });
    let round = 0;
    await fc.assert(
      fc.asyncProperty(tree, async ({ paths, ignores }) => {
        const inGit = `case-${round++}`;
        const files: Record<string, string> = Object.fromEntries([
          ...paths.map((one) => [one, ""]),
          ...ignores.map(([file, lines]) => [file, lines.join("\n")]),
        ]);
        const root = join(repository.root, inGit);
        mkdirSync(root);
        for (const [one, text] of Object.entries(files)) put(root, one, text);
        const { modules, warnings } = await scan(root);
        const plain = plainFolder(files);
        expect(await scan(plain)).toEqual({ modules, warnings });
        expect(await scan(root)).toEqual({ modules, warnings });
        rmSync(root, { recursive: true });
        rmSync(plain, { recursive: true });

        expect(new Set(namesOf(modules)).size).toBe(modules.length);
        if (ignores.length === 0) {
          const wanted = paths.filter((one) => /(^|\/)_(a|b|a-b)\.md$/.test(one) && !one.includes("node_modules"));
          expect(modules.map((module) => module.path).sort()).toEqual(wanted.sort());
        }
        modules.forEach((module, at) => {
          expect(dirname(module.path)).toBe(module.folder);
          const parent = modules.findIndex(({ name }) => name === module.parent);
          // The nearest folder above with a module is the parent's, and it comes first.
          const above = modules.filter(({ folder }) => isAbove(folder, module.folder));
          const nearest = above.sort((x, y) => depth(y.folder) - depth(x.folder))[0]?.folder;
          expect(modules[parent]?.folder).toBe(nearest);
          expect(parent).toBeLessThan(at);
          expect(findModules(modules, [module.name])).toEqual([module]);
        });
      }),
      { numRuns: fewOf(15, 300) },
    );
  });
});

const isAbove = (folder: string, other: string) =>
  folder !== other && (folder === "." || other.startsWith(`${folder}/`));
const depth = (folder: string) => (folder === "." ? 0 : folder.split("/").length);

describe("names of modules", () => {
  it("are found in the scan's order; one that means two is refused with the choices", async () => {
    repository.write({ "_app.md": "", "api/_core.md": "", "web/_core.md": "", "web/ui/_ui.md": "" });
    const { modules } = await scan();
    expect(namesOf(findModules(modules, ["ui", "web/core", "app", "ui"]))).toEqual(["app", "web/core", "ui"]);
    expect(namesOf(findModules(modules, ["web/ui/ui", "./app"]))).toEqual(["app", "ui"]);
    expect(findModules(modules, [])).toEqual([]);
    expect(() => findModules(modules, ["core"])).toThrow(
      expect.objectContaining({ code: "module.ambiguous", details: { choices: ["api/core", "web/core"] } }),
    );
    expect(() => findModules(modules, ["web/cor"])).toThrow(/There is no module "web\/cor". Did you mean web\/core/);
    for (const name of ["", "..", "../x", "/", "*", "constructor"]) {
      expect(() => findModules(modules, [name])).toThrow(expect.objectContaining({ code: "module.not_found" }));
    }
    expect(() => findModules([], ["x"])).toThrow(/There are none/);
  });
});

describe("what agents are given", () => {
  it("are the documents of modules behind those of the folders above them, whole", async () => {
    const long = `${"long ".repeat(400_000)}end\n`;
    repository.write({ "_app.md": "app\n", "_too.md": "too\n", "api/_api.md": long, "api/v1/_auth.md": "ä\n" });
    repository.write({ "api/v1/_other.md": "", "web/_web.md": "" });
    const { modules } = await scan();
    const docs = await docsFor(repository.root, modules, findModules(modules, ["auth"]));
    expect(docs.map(({ what, path, bytes }) => [what, path, bytes])).toEqual([
      ["module app", "_app.md", 4],
      ["module too", "_too.md", 4],
      ["module api", "api/_api.md", long.length],
      ["module auth", "api/v1/_auth.md", 3],
    ]);
    expect(docs[2]?.text).toBe(long);
    expect(await docsFor(repository.root, modules, [])).toEqual([]);
    rmSync(join(repository.root, "_too.md"));
    const left = await docsFor(repository.root, modules, findModules(modules, ["auth", "web"]));
    expect(left.map(({ what }) => what)).toEqual(["module app", "module api", "module auth", "module web"]);
  });

  it("are the rules of the step, for all and for each module, mixer's where mu has none", async () => {
    repository.write({
      "api/_core.md": "",
      "web/_core.md": "",
      "web/_web.md": "",
      ".mu/rules/work/_all.md": "all\n",
      ".mixer/rules/work/_all.md": "not this\n",
      ".mixer/rules/work/web.md": "web\n",
      ".mu/rules/work/api/core.md": "core\n",
      ".mu/rules/work/core.md": "whose?\n",
      ".mu/rules/plan/web.md": "plan\n",
    });
    const { modules } = await scan();
    const texts = async (step: string) =>
      (await rulesFor(repository.root, step, modules)).map(({ what, path, text }) => [what, path, text]);
    expect(await texts("work")).toEqual([
      ["rules of work", ".mu/rules/work/_all.md", "all\n"],
      ["rules of work for api/core", ".mu/rules/work/api/core.md", "core\n"],
      ["rules of work for web", ".mixer/rules/work/web.md", "web\n"],
    ]);
    expect(await texts("plan")).toEqual([["rules of plan for web", ".mu/rules/plan/web.md", "plan\n"]]);
    expect(await texts("report")).toEqual([]);
  });

  it("are never files from outside of the project", async () => {
    const outside = plainFolder({ "key.md": "secret" });
    repository.write({ "api/_api.md": "api", "common/rules.md": "common\n" });
    const { modules } = await scan();
    const rules = join(repository.root, ".mu/rules/work");
    mkdirSync(rules, { recursive: true });
    symlinkSync("../../../common/rules.md", join(rules, "api.md"));
    expect(await rulesFor(repository.root, "work", modules)).toMatchObject([{ text: "common\n" }]);
    symlinkSync(join(outside, "key.md"), join(rules, "_all.md"));
    await expect(rulesFor(repository.root, "work", modules)).rejects.toMatchObject({ code: "file.outside" });
    rmSync(join(repository.root, "api/_api.md"));
    symlinkSync(join(outside, "key.md"), join(repository.root, "api/_api.md"));
    await expect(docsFor(repository.root, modules, modules)).rejects.toMatchObject({ code: "file.outside" });
  });
});

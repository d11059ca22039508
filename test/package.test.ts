import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "./support/database.js";

const root = fileURLToPath(new URL("../", import.meta.url));
const folder = temporaryFolder();
const installed = join(folder.path, "node_modules", "mu-crew");

/** A program that uses the SDK; it prints the tasks that are ready. */
const PROGRAM = `
import { addTask, claimNext, type Context, Fault, initWorkstream, listReady, openStore, querySql, type Store, systemClock, type Task } from "mu-crew";

export async function main(): Promise<string> {
  const store: Store = await openStore({ path: "mu.db" });
  const context: Context = { store, clock: systemClock, actor: "me" };
  await initWorkstream(context, "shop");
  await addTask(context, "shop", { name: "design", title: "Design" });
  const ready: string[] = (await listReady(store.db, "shop", { now: new Date().toISOString() })).map((task) => task.name);
  const { task }: { task: Task } = await claimNext(context, "shop", { person: "me" });
  try {
    await querySql(context, "drop table tasks");
  } catch (error) {
    if (error instanceof Fault) return [...ready, task.status, error.code].join(" ");
  }
  return "no fault";
}
`;

/** Packs what is built, and puts it into an otherwise empty project, as an installation would; SQLite is lent. */
beforeAll(() => {
  if (!existsSync(join(root, "dist", "index.d.ts"))) execFileSync("npm", ["run", "build"], { cwd: root });
  execFileSync("npm", ["pack", "--ignore-scripts", "--pack-destination", folder.path], { cwd: root, stdio: "ignore" });
  const archive = readdirSync(folder.path).find((name) => name.endsWith(".tgz")) ?? "";
  mkdirSync(installed, { recursive: true });
  execFileSync("tar", ["-xzf", join(folder.path, archive), "-C", installed, "--strip-components=1"]);
  symlinkSync(join(root, "node_modules", "better-sqlite3"), join(installed, "..", "better-sqlite3"));
  writeFileSync(join(folder.path, "package.json"), JSON.stringify({ type: "module" }));
  writeFileSync(join(folder.path, "main.ts"), PROGRAM);
}, 120_000);
afterAll(folder.remove);

const run = (file: string, args: readonly string[]) =>
  spawnSync(process.execPath, [file, ...args], { cwd: folder.path, encoding: "utf8" });

describe("the package", () => {
  it.each([
    ["nodenext", "--module nodenext"],
    ["bundler", "--module esnext --moduleResolution bundler --noEmit"],
  ])(
    "has types that compile in an empty project: %s",
    (_, options) => {
      const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
      const strict = "--strict --exactOptionalPropertyTypes --skipLibCheck false --target es2022 main.ts".split(" ");
      expect(run(tsc, [...options.split(" "), ...strict])).toMatchObject({ stdout: "", status: 0 });
    },
    120_000,
  );

  it("runs as a library", () => {
    writeFileSync(join(folder.path, "run.js"), 'import { main } from "./main.js";\nconsole.log(await main());\n');
    expect(run("run.js", [])).toMatchObject({ stdout: "design IN_PROGRESS sql.not_a_read\n", stderr: "", status: 0 });
  });

  it("runs as a program", () => {
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    expect(run(join(installed, "dist", "main.cjs"), ["--version"])).toMatchObject({
      stdout: `${version}\n`,
      status: 0,
    });
  });

  it("has what a new project begins with", () => {
    const env = { PATH: folder.path, HOME: folder.path, MU_STATE_DIR: join(folder.path, "state"), USER: "ann" };
    const args = [join(installed, "dist", "main.cjs"), "init", "--non-interactive", "--dir", "shop"];
    const { status, stdout } = spawnSync(process.execPath, args, { cwd: folder.path, encoding: "utf8", env });
    expect({ status, stdout }).toMatchObject({ status: 0, stdout: expect.stringContaining("+ .mu/settings.json") });
    expect(existsSync(join(folder.path, "shop", "ONBOARDING.md"))).toBe(true);
  });

  it("has the notices of everything that is bundled", async () => {
    const notices = readFileSync(join(installed, "dist", "THIRD-PARTY-NOTICES.txt"), "utf8");
    const vendor = readdirSync(join(root, "scripts", "vendor")).map((name) => join("scripts", "vendor", name));
    const { metafile } = await build({
      absWorkingDir: root,
      entryPoints: ["src/main.ts", "src/cli/run.ts", "src/cli/player.ts", "src/index.ts", ...vendor],
      bundle: true,
      platform: "node",
      format: "esm",
      external: ["pg-native", "bindings"],
      write: false,
      outdir: "dist",
      metafile: true,
      logLevel: "error",
    });
    const folders = Object.keys(metafile.inputs).map((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]);
    const packages = [...new Set(folders)].filter((path) => path !== undefined);
    expect(packages.length).toBeGreaterThan(20);
    for (const path of packages) {
      const { name, version } = JSON.parse(readFileSync(join(root, path, "package.json"), "utf8"));
      expect(notices).toContain(`\n${name} ${version} (`);
    }
  });
});

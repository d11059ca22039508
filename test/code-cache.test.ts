import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { compileCached } from "../src/code-cache.js";
import { type Home, newHome, PROGRAM } from "./support/cli.js";

let home: Home;
let caches: string;
beforeEach(() => {
  home = newHome();
  caches = join(home.folder, "cache", "mu");
});
afterEach(() => home.end());

const cached = () => (existsSync(caches) ? readdirSync(caches) : []).map((name) => join(caches, name));
const onlyCache = () => {
  expect(cached()).toHaveLength(1);
  return cached()[0] as string;
};

const flipped = (bytes: Buffer, at: number) => Buffer.from(bytes).fill((bytes[at] ?? 0) ^ 0x40, at, at + 1);

/** A copy of the built program whose `mu log` on an empty project says `answer`. */
function install(name: string, answer: string): string {
  const folder = join(home.folder, name);
  cpSync(dirname(PROGRAM), join(folder, "dist"), { recursive: true });
  symlinkSync(fileURLToPath(new URL("../node_modules", import.meta.url)), join(folder, "node_modules"));
  change(folder, "The log is empty.", answer);
  return folder;
}

/** Changes what the program says; nobody can see that from its size or its time, as with packages from npm. */
function change(folder: string, from: string, to: string): void {
  const app = join(folder, "dist", "app.cjs");
  writeFileSync(app, readFileSync(app, "latin1").replace(from, to), "latin1");
  utimesSync(app, 1_000_000_000, 1_000_000_000);
}

/** Gives the program another hash, as its build would. */
function rebuild(folder: string, build: string): string {
  const main = join(folder, "dist", "main.cjs");
  const source = readFileSync(main, "latin1");
  const hash = /"([0-9a-f]{16})"/.exec(source)?.[1] ?? "";
  expect(hash).not.toBe("");
  writeFileSync(main, source.replace(hash, build), "latin1");
  return folder;
}

async function log(folder: string): Promise<string> {
  const ran = await home.sh(`node ${join(folder, "dist", "main.cjs")} log`, {
    env: { XDG_CACHE_HOME: dirname(caches) },
  });
  return `${ran.code} ${ran.stdout}${ran.stderr}`;
}

describe("the code cache", () => {
  it("is written once", async () => {
    const program = install("mu", "The log is empty.");
    await log(program);
    utimesSync(onlyCache(), 1, 1);
    expect(await log(program)).toBe("0 The log is empty.\n");
    expect(statSync(onlyCache()).mtimeMs).toBe(1_000);
  });

  it("is ignored and replaced if it is damaged", async () => {
    const program = install("mu", "The log is empty.");
    await log(program);
    const file = onlyCache();
    const sound = readFileSync(file);
    const damages = [
      ...[40, sound.length / 4].map((at) => flipped(sound, Math.floor(at))),
      ...[0, sound.length / 2].map((length) => sound.subarray(0, length)),
      Buffer.alloc(sound.length),
    ];
    for (const damaged of damages) {
      writeFileSync(file, damaged);
      expect(await log(program)).toBe("0 The log is empty.\n");
      expect(readFileSync(file).equals(damaged)).toBe(false);
    }
  });

  it("is never used with a byte flipped or cut off, wherever", () => {
    const path = join(home.folder, "program.cjs");
    const source = "exports.answer = () => [6, 7].reduce((product, factor) => product * factor);";
    writeFileSync(path, `(function (exports, require, module, __filename, __dirname) {${source}})`);
    const run = () => {
      const program = compileCached(path, "build", { XDG_CACHE_HOME: dirname(caches) });
      expect((program.load(createRequire(path)) as { answer(): number }).answer()).toBe(42);
      program.keep();
    };
    run();
    const file = onlyCache();
    const sound = readFileSync(file);
    for (let at = 0; at < sound.length; at += 13) {
      for (const damaged of [flipped(sound, at), sound.subarray(0, at), sound.subarray(at + 1)]) {
        writeFileSync(file, damaged);
        run();
        expect(readFileSync(file).equals(damaged)).toBe(false);
      }
    }
  });

  it("is not that of another build, even of the same size and time", async () => {
    const old = install("old", "The log is empty.");
    const other = rebuild(install("other", "Changed now."), "0123456789abcdef");
    expect(await log(old)).toBe("0 The log is empty.\n");
    const oldCache = onlyCache();
    expect(await log(other)).toBe("0 Changed now.\n");
    const otherCache = cached().find((file) => file !== oldCache) ?? "";
    expect(otherCache).toContain("0123456789abcdef");
    cpSync(oldCache, otherCache);
    expect(await log(other)).toBe("0 Changed now.\n");
  });

  it("does not survive an edit of the program", async () => {
    const program = install("mu", "The log is empty.");
    expect(await log(program)).toBe("0 The log is empty.\n");
    change(program, "The log is empty.", "Changed now.");
    utimesSync(join(program, "dist", "app.cjs"), 2_000_000_000, 2_000_000_000);
    expect(await log(program)).toBe("0 Changed now.\n");
  });

  it("is kept for the last four builds only", async () => {
    const program = install("mu", "The log is empty.");
    for (const build of ["1", "2", "3", "4", "5", "6"]) await log(rebuild(program, build.repeat(16)));
    const builds = cached().map((file) => /code-(.)/.exec(file)?.[1]);
    expect(builds.sort()).toEqual(["3", "4", "5", "6"]);
  });

  it("is done without if its folder cannot be made", async () => {
    writeFileSync(dirname(caches), "");
    expect(await log(install("mu", "The log is empty."))).toBe("0 The log is empty.\n");
  });
});

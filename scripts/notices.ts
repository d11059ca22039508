import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Plugin } from "esbuild";

/** The part of a path that is a package's folder: the innermost one. */
const PACKAGE = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/;
const LICENCE_FILE = /^(licen[cs]e|copying|notice)([.-].*)?$/i;
const LICENCE_CHAPTER = /^#+ *licen[cs]e\s*\n([\s\S]*?)(?=\n#|$(?![\s\S]))/im;
/** A chapter that only names the licence is shorter, in characters. */
const SHORTEST_TEXT = 200;

const HEAD = "mu bundles these packages. Each is under its own licence, which follows its name and version.\n";
const RULE = `\n${"-".repeat(80)}\n`;

/**
 * An esbuild plugin that writes name, version and licence text of every bundled package; used in several builds, it
 * writes the union. A package without a licence text fails the build.
 */
export function thirdPartyNotices(file: string): Plugin {
  const folders = new Set<string>();
  return {
    name: "third-party-notices",
    setup(build) {
      build.initialOptions.metafile = true;
      build.onEnd(({ metafile }) => {
        for (const input of Object.keys(metafile?.inputs ?? {})) {
          const folder = PACKAGE.exec(input)?.[0];
          if (folder !== undefined) folders.add(folder);
        }
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, HEAD + [...folders].map(noticeOf).sort().join(""));
      });
    },
  };
}

function noticeOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const text = licenceIn(folder);
  if (text === "") throw new Error(`The bundled package ${name} ${version} has no licence text in ${folder}.`);
  return `${RULE}${name} ${version} (${license})\n\n${text}\n`;
}

/** The files that are named so, or else the chapter of the README. */
function licenceIn(folder: string): string {
  const entries = readdirSync(folder);
  const read = (entry: string) => readFileSync(join(folder, entry), "utf8").replaceAll("\r", "").trim();
  const files = entries.filter((entry) => LICENCE_FILE.test(entry)).map(read);
  if (files.length > 0) return files.join("\n\n");
  const readme = entries.find((entry) => /^readme/i.test(entry));
  const chapter = readme === undefined ? "" : (LICENCE_CHAPTER.exec(read(readme))?.[1] ?? "").trim();
  return chapter.length < SHORTEST_TEXT ? "" : chapter;
}

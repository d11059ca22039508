import { createHash } from "node:crypto";
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { applyEdits, modify } from "jsonc-parser";
import { replaceText } from "../agents/hooks/settings-file.js";
import { asFault, Fault, throwIfExhausted } from "../errors.js";
import { counted, quote } from "../names.js";
import { invalid, MOST_BYTES, parseSettings, SETTINGS_FILE } from "../project/read.js";
import { isObject } from "../shape.js";
import { findAbove } from "../vcs/folders.js";
import type { Module } from "./modules.js";

/** Where agents that lead others look for how to run jobs. */
export const SKILL_FILE = ".claude/skills/mu-jobs/SKILL.md";
/** Where mu's own goes if somebody has edited that one. */
export const NEW_SKILL_FILE = `${SKILL_FILE}.new`;

/** The project around a folder: the nearest one above with settings, else the checkout, else the folder itself. */
export function projectAround(folder: string): string {
  const above = (name: string) => findAbove(folder, (at) => (existsSync(join(at, name)) ? at : undefined));
  return above(SETTINGS_FILE) ?? above(".git") ?? folder;
}

/** What a sync has done, or would do. */
export interface Sync {
  /** Files that were written, relative to the project folder. */
  changes: string[];
  /** Modules that the settings lacked, and those that they had too many. */
  added: string[];
  removed: string[];
  /** The skill was edited, and the new one is beside it. */
  aside: boolean;
}

/**
 * Makes the settings, `.gitignore` and the skill agree with the modules; with `dryRun` only says what it would do. Faults
 * `settings.invalid`, `sync.dangling_link`, `sync.too_many_modules`, `hooks.not_writable`, `hooks.settings_changed`.
 */
export async function syncProject(
  root: string,
  modules: readonly Module[],
  skill: string,
  { dryRun }: { dryRun: boolean },
): Promise<Sync> {
  const tree = Object.fromEntries(modules.map(({ name, path, parent }) => [name, { path, parent }]));
  for (const path of [SETTINGS_FILE, ".gitignore", SKILL_FILE, NEW_SKILL_FILE]) requireTarget(root, path);
  const changes: string[] = [];
  const change = async (path: string, edit: Edit) => {
    if (await changeFile(root, path, edit, dryRun)) changes.push(path);
  };
  let known: Tree = {};
  await change(SETTINGS_FILE, (text) => {
    known = modulesIn(text);
    return withModules(text, tree, known);
  });
  await change(".gitignore", withJobsLines);
  let aside = false;
  await change(SKILL_FILE, (text) => {
    if (isCurrent(text, skill)) return text;
    aside = text !== undefined && !isUntouched(text);
    return aside ? text : marked(skill);
  });
  if (aside) await change(NEW_SKILL_FILE, (text) => (isCurrent(text, skill) ? text : marked(skill)));
  const without = (names: Tree, others: Tree) => Object.keys(names).filter((name) => !Object.hasOwn(others, name));
  return { changes, added: without(tree, known), removed: without(known, tree), aside };
}

type Edit = (text: string | undefined) => string | undefined;

/** How often somebody else may save a file while it is changed. */
const ATTEMPTS = 5;

async function changeFile(root: string, path: string, edit: Edit, dryRun: boolean): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    const before = readNow(root, path);
    const after = edit(before);
    if (after === before) return false;
    try {
      if (!dryRun) await replaceText(join(root, path), before, after);
      return true;
    } catch (error) {
      if (asFault(error).code !== "hooks.settings_changed" || attempt === ATTEMPTS) throw error;
    }
  }
}

/** A file's text, at once: `fs/promises` takes longer to load than all of this takes. */
function readNow(root: string, path: string): string | undefined {
  try {
    return readFileSync(join(root, path), "utf8");
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throwIfExhausted(error);
    if (path === SETTINGS_FILE) throw invalid([`the file cannot be read (${code})`]);
    throw new Fault(
      "usage",
      "file.not_readable",
      `${quote(path)} cannot be read (${code}). Give yourself access to it.`,
    );
  }
}

/** Refuses a link that leads nowhere: what it names is not there to be changed. */
function requireTarget(root: string, path: string): void {
  const file = join(root, path);
  if (existsSync(file) || !isLink(file)) return;
  throw new Fault("conflict", "sync.dangling_link", `${quote(path)} is a link to a file that is not there. Remove it.`);
}

function isLink(file: string): boolean {
  try {
    return readlinkSync(file) !== "";
  } catch {
    return false;
  }
}

type Tree = Readonly<Record<string, unknown>>;

/** The tree that the settings have. Faults `settings.invalid`. */
function modulesIn(settings: string | undefined): Tree {
  if (settings === undefined) return {};
  parseSettings(settings);
  const { modules = {} } = JSON.parse(settings.replace(BOM, "")) as { modules?: Tree };
  return modules;
}

const BOM = /^\ufeff/;

/** The settings with another tree; everything else, its order and its layout stay. Faults `settings.invalid`. */
function withModules(settings: string | undefined, tree: Tree, known: Tree): string | undefined {
  if (JSON.stringify(tree) === JSON.stringify(known)) return settings;
  const [text, mark] = [(settings ?? "{}\n").replace(BOM, ""), BOM.exec(settings ?? "")?.[0] ?? ""];
  const indent = /^[ \t]+(?=")/m.exec(text)?.[0] ?? "  ";
  const insertSpaces = !indent.startsWith("\t");
  const formattingOptions = { insertSpaces, tabSize: insertSpaces ? indent.length : 1, eol: eolOf(text) };
  const after = applyEdits(text, modify(text, ["modules"], tree, { formattingOptions }));
  const { modules, ...rest } = JSON.parse(after) as { modules: unknown };
  const { modules: _, ...others } = JSON.parse(text) as { modules?: unknown };
  // Of a key that stands there twice, JSON takes the last and an edit the first.
  const isWhole = isObject(modules) && JSON.stringify([modules, rest]) === JSON.stringify([tree, others]);
  if (!isWhole) throw invalid(["modules: stands there twice"]);
  if (Buffer.byteLength(after) <= MOST_BYTES) return mark + after;
  const message = `${SETTINGS_FILE} would be larger than ${MOST_BYTES} bytes with ${counted(Object.keys(tree).length, "module")}. Let .gitignore leave some out.`;
  throw new Fault("conflict", "sync.too_many_modules", message);
}

/** The folders of jobs that stay on this machine: also the archived ones, and what was deleted. */
const LOCAL_JOBS = [".mu/jobs/local-*/", ".mu/jobs/.archive/local-*/", ".mu/jobs/.deleted/"];

/** `.gitignore` with those of them that it lacks. */
function withJobsLines(text = ""): string {
  const eol = eolOf(text);
  const bare = (line: string) => line.trim().replace(/^\/|\/$/g, "");
  const known = new Set(text.split("\n").map(bare));
  const missing = LOCAL_JOBS.filter((line) => !known.has(bare(line))).map((line) => line + eol);
  return missing.length === 0 ? text : `${text}${/^$|\n$/.test(text) ? "" : eol}${missing.join("")}`;
}

const eolOf = (text: string) => (text.includes("\r\n") ? "\r\n" : "\n");

const MARK = /\n<!-- mu sync wrote this, sha256 (?<hash>[0-9a-f]{64})\. [^\n]*-->\n$/;
const hashOf = (text: string) => createHash("sha256").update(text).digest("hex");

/** The skill with a last line by which the next sync sees whether somebody has edited it. */
const marked = (skill: string) =>
  `${skill}\n<!-- mu sync wrote this, sha256 ${hashOf(skill)}. Once you edit it, newer ones go to SKILL.md.new. -->\n`;

/** Without a look at the hash, which takes longer to load than all else. */
const isCurrent = (text: string | undefined, skill: string) =>
  text?.startsWith(skill) === true && MARK.exec(text)?.index === skill.length;

function isUntouched(text: string): boolean {
  const found = MARK.exec(text);
  return found !== null && hashOf(text.slice(0, found.index)) === found.groups?.["hash"];
}

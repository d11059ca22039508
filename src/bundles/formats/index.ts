import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { Fault, throwIfExhausted } from "../../errors.js";
import { quote, slug } from "../../names.js";
import type { KeptTask } from "../../tasks/kept.js";
import { writeWhole } from "../../whole-file.js";
import type { Found } from "../read.js";
import { readJson } from "../task-file.js";
import { type Exported, notWritable } from "../write.js";
import { backlog } from "./backlog.js";
import { beads } from "./beads.js";
import type { Files, Format } from "./format.js";
import { github } from "./github.js";
import { taskmaster } from "./taskmaster.js";

/** Programs whose files are read, and those whose files are written, too. */
export const FORMATS = ["beads", "github", "backlog", "taskmaster"] as const;
export const WRITTEN_FORMATS = ["beads", "backlog", "taskmaster"] as const;
export type FormatName = (typeof FORMATS)[number];

const BY_NAME: Readonly<Record<FormatName, Format>> = { beads, github, backlog, taskmaster };

/** Where a project has them; in a folder the first that is there says which program's it is. */
const PLACES: readonly (readonly [format: FormatName, path: string])[] = [
  ["beads", ".beads/issues.jsonl"],
  ["beads", "issues.jsonl"],
  ["taskmaster", ".taskmaster/tasks/tasks.json"],
  ["taskmaster", "tasks/tasks.json"],
  ["taskmaster", "tasks.json"],
  ["backlog", "backlog/tasks"],
  ["backlog", "tasks"],
];

/**
 * The tasks of another program in a file or folder, or in `text`; undefined if it is none that is known. A list without a
 * name of its own is called `as`. Faults `usage.missing_argument` without that, `import.invalid_file`, `file.not_readable`.
 */
export async function readForeign(
  path: string,
  { format, as, text }: { format?: FormatName | undefined; as?: string | undefined; text?: string | undefined },
): Promise<Found[] | undefined> {
  const found = text === undefined ? await locate(path, format) : { format, files: new Map([[path, text]]) };
  if (found?.format === undefined) return undefined;
  const lists = await BY_NAME[found.format].read(found.files);
  return lists.map(({ name, deleted = 0, ...list }) => {
    const workstream = name === undefined ? as : slug(name).slice(0, 32);
    if (workstream !== undefined) return { workstream, deleted, ...list };
    throw new Fault(
      "usage",
      "usage.missing_argument",
      "Name the new workstream with --as: the file has no name for it.",
    );
  });
}

async function locate(path: string, wanted: FormatName | undefined) {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => undefined,
  );
  if (isFolder === undefined) return undefined;
  if (!isFolder) {
    const text = await readText(path);
    return { format: wanted ?? formatOf(path, text), files: new Map([[basename(path), text]]) };
  }
  const [format, place] =
    PLACES.find(([name, place]) => (wanted ?? name) === name && existsSync(join(path, place))) ?? [];
  if (format === undefined || place === undefined) return undefined;
  if (format !== "backlog") return { format, files: new Map([[place, await readText(join(path, place))]]) };
  return { format, files: await readFolder(join(path, dirname(place))) };
}

function formatOf(path: string, text: string): FormatName | undefined {
  if (extname(path) === ".jsonl") return "beads";
  const found = readJson(text);
  if (found === undefined) return undefined;
  return Array.isArray(found) ? "github" : "taskmaster";
}

async function readFolder(folder: string): Promise<Files> {
  const names = (await readdir(folder, { recursive: true })).filter((name) =>
    /^(tasks|completed|drafts|archive)\/.*\.md$/.test(name),
  );
  const texts = await Promise.all(
    names.sort().map(async (name) => [name, await readText(join(folder, name))] as const),
  );
  return new Map(texts);
}

function readText(path: string): Promise<string> {
  return readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throwIfExhausted(error);
    throw new Fault("usage", "file.not_readable", `${quote(path)} cannot be read (${error.code}).`);
  });
}

/**
 * Writes tasks into `folder` as another program keeps them; `left` says what it cannot hold. Other files that are
 * there are not written over. Faults `export.exists`, `file.not_writable`.
 */
export async function writeForeign(
  folder: string,
  format: FormatName,
  tasks: readonly KeptTask[],
): Promise<Exported & { left: string[] }> {
  const { files, left } = BY_NAME[format].write?.(tasks) ?? { files: new Map<string, string>(), left: [] };
  const before = new Map<string, string | undefined>();
  for (const path of files.keys()) before.set(path, await readFile(join(folder, path), "utf8").catch(() => undefined));
  const fresh = [...files].filter(([path, text]) => before.get(path) !== text);
  const [taken] = fresh.find(([path]) => existsSync(join(folder, path))) ?? [];
  if (taken !== undefined) {
    const message = `${quote(join(folder, taken))} is there already. Name another folder with --out.`;
    throw new Fault("conflict", "export.exists", message);
  }
  await mkdir(folder, { recursive: true }).catch(notWritable(folder));
  for (const [path, text] of fresh) {
    await writeWhole(join(folder, path), text, 0o644).catch(notWritable(join(folder, path)));
  }
  return { folder, written: fresh.length, unchanged: files.size - fresh.length, deleted: 0, left };
}

import { isUtf8 } from "node:buffer";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Fault, interrupted, throwIfExhausted } from "../errors.js";
import { quote } from "../names.js";
import type { Question, Request } from "../operations/app.js";
import { writeWhole } from "../whole-file.js";
import { printable } from "./printable.js";

/** Input up to this size is read; a larger one is a mistake, in bytes. */
const MAX_INPUT = 256 * 1024 * 1024;

/** What the person at this process asks; `json` where standard error is for a program to read. */
export function processRequest(
  signal: AbortSignal,
  { json, captured }: { json: boolean; captured?: (text: string) => void },
): Request {
  const remark = captured ?? ((text) => void process.stderr.write(text));
  const request: Request = {
    env: process.env,
    cwd: folderHere(),
    signal,
    json,
    readFile: readFileText,
    stdin: (most) => readStandardInput(signal, most),
    terminal: {
      edit: editText,
      run: async ({ file, args, env }) => !json && takeTerminal(file, args, env),
      // Standard error as a stream takes ms to load, and few verbs ring.
      get ring() {
        return process.stderr.isTTY ? (text: string) => void process.stderr.write(text) : undefined;
      },
      get isWatched() {
        return !json && process.stdout.isTTY;
      },
      ask: async (question) => (json ? undefined : askPerson(question, signal)),
    },
    remark: (text: string) => remark(`${json ? JSON.stringify({ remark: text }) : printable(text)}\n`),
    stream: captured ? () => {} : errorStream({ json }),
  };
  if (captured === undefined) return request;
  const { terminal: _, ...without } = request;
  return without;
}

/**
 * The folder of this process. One that was removed under it, as an agent's workspace may be, goes by the name that the
 * shell has for it; nothing else here may ask for it then, so the process leaves it.
 */
function folderHere(): string {
  try {
    return process.cwd();
  } catch {
    process.chdir("/");
    return process.env["PWD"] ?? "/";
  }
}

/** Standard error, so that a pipe gets the result alone; one that nobody reads any more is no reason to stop. */
function errorStream({ json }: { json: boolean }): Request["stream"] {
  let watched = false;
  return (chunk) => {
    if (json && !process.stderr.isTTY) return;
    if (!watched) process.stderr.on("error", () => {});
    watched = true;
    process.stderr.write(chunk);
  };
}

async function readStandardInput(signal: AbortSignal, most?: number): Promise<string> {
  const parts: Buffer[] = [];
  const end = () => process.stdin.destroy(interrupted());
  if (signal.aborted) end();
  signal.addEventListener("abort", end, { once: true });
  let size = 0;
  for await (const part of process.stdin as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > (most ?? MAX_INPUT)) {
      const limit = Math.floor((most ?? MAX_INPUT) / (1 << 20));
      throw new Fault("usage", "file.too_large", `Standard input is larger than ${limit} MiB.`);
    }
    parts.push(part);
  }
  const all = Buffer.concat(parts);
  if (most !== undefined && !isUtf8(all)) throw new Fault("usage", "file.not_utf8", "Standard input is no UTF-8.");
  return all.toString("utf8");
}

async function readFileText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throwIfExhausted(error);
    const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    throw new Fault("usage", "file.not_readable", `The file ${quote(path)} cannot be read (${reason}).`);
  }
}

/** Opens `$VISUAL`, `$EDITOR` or vi on a temporary file, as git does. It stays if its new text could not be taken. */
async function editText<T>(text: string, name: string, take: (edited: string) => Promise<T>): Promise<T> {
  const named = process.env["VISUAL"] || process.env["EDITOR"];
  const editor = named || "vi";
  if (!named && !process.stdin.isTTY)
    throw new Fault("usage", "usage.needs_terminal", "vi needs a terminal. Change the fields by flags.", [
      { intent: "See which", command: "mu task update --help" },
    ]);
  const { execOnTerminal } = await import("../exec.js");
  const folder = await mkdtemp(join(tmpdir(), "mu-edit-"));
  const file = join(folder, name);
  let taken = false;
  const changed = async () => (await readFile(file, "utf8").catch(() => text)) !== text;
  try {
    await writeFile(file, text, { mode: 0o600 });
    if ((await execOnTerminal("sh", ["-c", `${editor} "$1"`, "sh", file])) !== 0) {
      throw new Fault(
        "unavailable",
        "editor.failed",
        `The editor ${quote(editor)} did not end well; nothing was changed.`,
        [{ intent: "Name another editor", command: "EDITOR=nano mu task edit <task>" }],
      );
    }
    const result = await take(await readFile(file, "utf8"));
    taken = true;
    return result;
  } catch (error) {
    if (!(error instanceof Fault) || !(await changed())) throw error;
    const { kind, code, message, nextSteps, details } = error;
    throw new Fault(kind, code, `${message} Your text is in ${file}.`, nextSteps, { ...details, file });
  } finally {
    if (taken || !(await changed())) await rm(folder, { recursive: true, force: true });
  }
}

async function takeTerminal(file: string, args: readonly string[], env: Request["env"] | undefined): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) return false;
  const { execOnTerminal } = await import("../exec.js");
  return (await execOnTerminal(file, args, env)) === 0;
}

async function askPerson({ text, fallback, problem }: Question, signal: AbortSignal): Promise<string | undefined> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) return undefined;
  const { default: input } = await import("@inquirer/input");
  const validate = (answer: string) => problem(answer.trim()) ?? true;
  const asked = input({ message: text, default: fallback, validate }, { signal });
  const answer = await asked.catch((error: Error) => {
    throw ["ExitPromptError", "AbortPromptError"].includes(error.name) ? interrupted() : error;
  });
  return answer.trim();
}

/** The package's folder: one up from the built program, two up from here. */
const PACKAGE = [".", ".."]
  .map((up) => join(import.meta.dirname, "..", up))
  .find((dir) => existsSync(join(dir, "skills")));

/** A text that a new project begins with. */
export function readTemplate(name: string): Promise<string> {
  return readFile(join(PACKAGE ?? "", "templates", name), "utf8");
}

/** The text of mu's skill of that name. */
export async function readSkill(name: string): Promise<string> {
  return readFileSync(join(PACKAGE ?? "", "skills", name, "SKILL.md"), "utf8");
}

/** Writes the skill of that name to `path`; false when it was there already. Faults `file.not_writable`. */
export async function installSkill(name: string, path: string): Promise<boolean> {
  const text = await readSkill(name);
  const before = await readFile(path, "utf8").catch(() => undefined);
  if (before === text) return false;
  try {
    await writeWhole(path, text, 0o644);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    throw new Fault("unavailable", "file.not_writable", `The file ${quote(path)} cannot be written (${reason}).`);
  }
  return true;
}

import type { Replay } from "../lander.js";
import type { VcsWorld } from "../vcs.js";
import { runGit } from "./run.js";

/** Files larger than this (bytes) are not read for the lines that clash. */
const READABLE = 1_000_000;
/** So much of what clashes is shown. */
const HUNK_LINES = 40;
const LINE_LENGTH = 200;

/** The conflicts of a merge in people's terms: its files, git's words about them, and the first lines that clash. */
export async function gitConflict(
  { world, root }: { world: VcsWorld; root: string },
  { tree, report }: { tree: string; report: readonly string[] },
  names: Replay["names"],
): Promise<{ files: string[]; words: string[]; hunk: string }> {
  const { files, words } = parseReport(report);
  for (const file of files.slice(0, 10)) {
    const hunk = firstHunk(await textOf(world, root, `${tree}:${file}`), names);
    if (hunk !== "") return { files, words, hunk: `${file}\n${hunk}` };
  }
  return { files, words, hunk: "" };
}

/** `mode id stage\tpath` for each conflicted file, an empty field, then messages: count, paths, type, text. */
function parseReport(report: readonly string[]): { files: string[]; words: string[] } {
  const end = report.indexOf("");
  const files = report.slice(0, end).map((line) => line.slice(line.indexOf("\t") + 1));
  const words: string[] = [];
  for (let at = end + 1; at < report.length; ) {
    const paths = Number(report[at]);
    if (report[at] === "" || !Number.isInteger(paths)) break;
    const [type = "", text = ""] = report.slice(at + 1 + paths, at + 3 + paths);
    if (type.startsWith("CONFLICT")) words.push(text.trim().replaceAll(/\b([0-9a-f]{7})[0-9a-f]{33}\b/g, "$1"));
    at += 3 + paths;
  }
  return { files: [...new Set(files)], words };
}

async function textOf(world: VcsWorld, root: string, object: string): Promise<string> {
  const { code, stdout } = await runGit(world, root, ["cat-file", "-s", object], { okCodes: [128] });
  if (code !== 0 || Number(stdout) > READABLE) return "";
  return (await runGit(world, root, ["cat-file", "blob", object], { okCodes: [128] })).stdout;
}

function firstHunk(text: string, { ours, theirs }: Replay["names"]): string {
  const lines = text.split("\n");
  const start = lines.findIndex((line) => line.startsWith("<<<<<<< "));
  const end = lines.findIndex((line, index) => index > start && line.startsWith(">>>>>>> "));
  if (start < 0 || end < 0) return "";
  const hunk = [`<<<<<<< ${ours}`, ...lines.slice(start + 1, end), `>>>>>>> ${theirs}`].map(shortened);
  if (hunk.length <= HUNK_LINES) return hunk.join("\n");
  const half = HUNK_LINES / 2;
  return [...hunk.slice(0, half), `… ${hunk.length - HUNK_LINES} lines more …`, ...hunk.slice(-half)].join("\n");
}

const shortened = (line: string) => (line.length > LINE_LENGTH ? `${line.slice(0, LINE_LENGTH)}…` : line);

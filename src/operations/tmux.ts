import { join } from "node:path";
import { readText, replaceText } from "../agents/hooks/settings-file.js";
import { Fault } from "../errors.js";
import { shellWord } from "../names.js";
import { ALL_WAITING } from "../tmux/appearance.js";
import { defineOperation, type NextSteps, type Operation, type Request, step } from "./define.js";
import { flag } from "./fields.js";

const LINES = [
  "bind-key u display-popup -E -w 90% -h 90% 'mu top'",
  "bind-key U run-shell 'TMUX_PANE=#{pane_id} mu agent next'",
  `if-shell -F '#{m:*@mu_waiting*,#{status-right}}' '' 'set-option -ag status-right " ${ALL_WAITING}"'`,
  "if-shell -F '#{e|<:#{status-right-length},80}' 'set-option -g status-right-length 120'",
];

/** A `+` says that the line before had no end, so that removing the block leaves the file as it was. */
const begin = (plus: "" | " +") => `# >>> mu${plus} >>> written by "mu tmux install"; "mu tmux uninstall" removes it`;
const END = "# <<< mu <<<";
const BEGINS = /^# >>> mu(?: \+)? >>> /m;
const BLOCK = /(?:\n(?=# >>> mu \+))?^# >>> mu(?<plus>(?: \+)?) >>> [\s\S]*?^# <<< mu <<<\n?/m;

const blockOf = (plus: "" | " +") => [begin(plus), ...LINES, END, ""].join("\n");

/** The configuration with mu's block, or with what is there now instead of an older one. */
export function withBlock(text: string | undefined): string {
  const found = BLOCK.exec(text ?? "");
  if (text !== undefined && found !== null) {
    const plus = found.groups?.["plus"] === " +" ? " +" : "";
    return text.replace(BLOCK, () => (plus ? "\n" : "") + blockOf(plus));
  }
  return text === undefined || text === "" || text.endsWith("\n")
    ? `${text ?? ""}${blockOf("")}`
    : `${text}\n${blockOf(" +")}`;
}

/** The configuration as it was before; undefined where nothing else was in it. */
export function withoutBlock(text: string | undefined): string | undefined {
  if (text === undefined || !BLOCK.test(text)) return text;
  // What was added behind it since then stays on a line of its own.
  const rest = text.replace(BLOCK, (block) => (block.startsWith("\n") && !text.endsWith(block) ? "\n" : ""));
  return rest || undefined;
}

/** Where tmux looks, in its order: the file that has the block, else the first one that is there, else the first. */
async function openConfiguration({ env }: Request): Promise<{ path: string; text: string | undefined }> {
  const home = env["HOME"] ?? "/";
  const configured = env["XDG_CONFIG_HOME"] ? [join(env["XDG_CONFIG_HOME"], "tmux", "tmux.conf")] : [];
  const paths = [join(home, ".tmux.conf"), ...configured, join(home, ".config", "tmux", "tmux.conf")];
  const files = await Promise.all(paths.map(async (path) => ({ path, text: await readText(path) })));
  const isOurs = ({ text }: { text: string | undefined }) => text !== undefined && BEGINS.test(text);
  const file = files.find(isOurs) ?? files.find(({ text }) => text !== undefined) ?? files[0];
  if (file === undefined) throw new Error("tmux has a configuration file");
  if (isOurs(file) && !BLOCK.test(file.text ?? "")) {
    const message = `${file.path} has the first line of mu's block and not its last, "${END}". Remove what is left of it by hand.`;
    throw new Fault("conflict", "tmux.block_broken", message);
  }
  return file;
}

type Edit = (text: string | undefined) => string | undefined;

/** What sets the two verbs apart. */
interface TmuxVerb extends Pick<Operation, "summary" | "description"> {
  edit: Edit;
  done: string;
  lines?: string[];
  next?: (result: { path: string; changed: boolean; dryRun: boolean }) => NextSteps;
}

function defineTmuxVerb(
  tmuxVerb: "install" | "uninstall",
  { edit, done, lines = [], next, ...verb }: TmuxVerb,
): Operation {
  return defineOperation({
    ...verb,
    ...(next && { next }),
    name: `tmux.${tmuxVerb}`,
    effect: "write",
    journalled: false,
    standalone: true,
    input: () => ({ dryRun: flag("Show what would be written, and write nothing") }),
    output: { path: "string", changed: "boolean", dryRun: "boolean", lines: "string[]" },
    examples: [
      { command: `mu tmux ${tmuxVerb} --dry-run`, shows: "which file, and which lines" },
      { command: `mu tmux ${tmuxVerb} --now`, shows: "an unknown flag", fault: "usage.unknown_option" },
    ],
    writes: ({ dryRun }) => !dryRun,
    async run({ request }, { dryRun }) {
      const { path, text } = await openConfiguration(request);
      const after = edit(text);
      if (!dryRun) await replaceText(path, text, after);
      return { path, changed: after !== text, dryRun, lines };
    },
    render: (result, paint) =>
      result.changed
        ? [
            `${result.dryRun ? "Not yet " : ""}${result.dryRun ? done.toLowerCase() : done} ${result.path}`,
            result.lines.map((line) => `  ${paint.dim(line)}`),
          ]
        : `${result.path} is unchanged.`,
  });
}

export const tmuxInstall = defineTmuxVerb("install", {
  summary: "Add mu's keys and status to your tmux configuration",
  description:
    "Adds a marked block to ~/.tmux.conf, or to the file in $XDG_CONFIG_HOME/tmux if that is the one in use: prefix u shows mu top in a popup, prefix U goes to whoever has waited for you longest, and the status line says who waits in any session. Nothing outside the marks is touched, a symbolic link stays one, and a second time changes nothing.",
  edit: withBlock,
  done: "Added to",
  lines: blockOf("").trimEnd().split("\n"),
  next({ path, changed, dryRun }) {
    if (!changed) return [];
    return [dryRun ? step("Write it", "mu tmux install") : step("Load it now", `tmux source-file ${shellWord(path)}`)];
  },
});

export const tmuxUninstall = defineTmuxVerb("uninstall", {
  summary: "Remove mu's block from your tmux configuration",
  description:
    "The file is byte for byte what it was before the install; one that mu created is removed. A tmux that runs keeps its keys until it is restarted.",
  edit: withoutBlock,
  done: "Removed from",
});

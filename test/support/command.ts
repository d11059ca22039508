import { readLine } from "../../src/cli/argv.js";
import { buildProgram, type Call } from "../../src/cli/program.js";
import { VERBS } from "../../src/operations/manifest.js";

/** Splits a command line as a shell does, for quotes and plain words; no variables, no pipes. */
export function shellWords(line: string): string[] {
  const words: string[] = [];
  for (const match of line.matchAll(/(?:[^\s'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+/g)) {
    words.push(
      match[0].replace(
        /'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)/g,
        (_all, single, double, escaped) => single ?? (double as string | undefined)?.replace(/\\(.)/g, "$1") ?? escaped,
      ),
    );
  }
  return words;
}

/** What `mu …` asks for, by the real command tree. Throws commander's error for a line that it refuses. */
export function parseCommand(line: string): Call {
  const [mu, ...argv] = shellWords(line);
  if (mu !== "mu") throw new Error(`not a mu command: ${line}`);
  let request: Call | undefined;
  const program = buildProgram(VERBS, (found) => {
    request = found;
  });
  const silent = (command: typeof program): void => {
    command.configureOutput({ writeErr: () => {}, writeOut: () => {} });
    command.commands.forEach(silent as never);
  };
  silent(program);
  program.parse(readLine(argv, VERBS).argv, { from: "user" });
  if (request === undefined) throw new Error(`no verb runs for: ${line}`);
  return request;
}

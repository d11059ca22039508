import { Fault } from "../errors.js";
import { qualifiedName, type TaskRef } from "../names.js";
import type { App } from "../operations/app.js";
import { sceneOf } from "../operations/dispatch/world.js";
import type { Said, TopWorld } from "../top/top.js";
import type { Output } from "./show.js";

type RunLine = (argv: readonly string[], output: Output, signal: AbortSignal) => Promise<number>;

/** Shows a workstream on this process's terminal; lines of mu's are run by `runLine`. */
export async function showTopHere(
  app: App,
  { workstream, under }: { workstream: string; under?: TaskRef | undefined },
  { output, runLine }: { output: Output; runLine: RunLine },
): Promise<void> {
  const { stdin: input, stdout } = process;
  if (!input.isTTY || !stdout.isTTY) {
    throw new Fault("usage", "usage.needs_terminal", "This needs a terminal. Run mu in a shell.", [
      {
        intent: "See the same as text",
        command: under ? `mu state --under ${qualifiedName(under)}` : `mu state -w ${workstream}`,
      },
    ]);
  }
  const { showTop } = await import("../top/top.js");
  const host = await app.crew();
  const inside = async (words: readonly string[], columns: number, signal: AbortSignal): Promise<Said> => {
    let text = "";
    const add = (more: string) => {
      text += more;
    };
    const captured: Output = {
      out: add,
      err: add,
      colour: output.colour,
      columns,
      program: output.program,
      captured: true,
    };
    const code = await runLine(words, captured, signal);
    return { code, text };
  };
  const onTerminal: TopWorld["onTerminal"] = async (words) => {
    const { execOnTerminal } = await import("../exec.js");
    const code = await execOnTerminal(process.execPath, [output.program ?? "", ...words]);
    return { code: code ?? 1, text: code === 0 ? "back" : `ended with ${code ?? "a signal"}` };
  };
  const needsTerminal = async (words: readonly string[]) => {
    const { OPERATIONS } = await import("../operations/index.js");
    const verb = app.program.readCommand(words)?.verb;
    const operation = verb === undefined ? undefined : await OPERATIONS[verb]?.();
    return operation?.needs?.includes("terminal") || operation?.follow !== undefined;
  };
  await showTop({
    host,
    scene: () => sceneOf(app, workstream),
    under,
    run: async (words, columns, signal) =>
      (await needsTerminal(words)) ? { code: 0, text: "", terminal: true } : inside(words, columns, signal),
    onTerminal,
    complete: async (words) => {
      const { text } = await inside(["complete", "--", ...words], 80, app.request.signal);
      return text.split("\n").flatMap((line) => line.split("\t", 1)[0] || []);
    },
    signal: app.request.signal,
    colour: output.colour,
    input,
    output: stdout,
  });
}

import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { bugFault, type Fault, knownFault, type NextStep } from "../errors.js";
import type { Operation } from "../operations/operation.js";
import type { Paint } from "../operations/paint.js";
import { stateFolder } from "../paths.js";
import type { Line } from "./argv.js";
import { jsonLine, printable, printableValue } from "./printable.js";

/** Where text goes, and whether a person's terminal shows colours. */
export interface Output {
  out(text: string): void;
  err(text: string): void;
  colour: boolean;
  /** False where a person does not want to read what they can do next. */
  hints?: boolean | undefined;
  /** How wide the terminal is; undefined where the text goes elsewhere, such as into a pipe. */
  columns?: number | undefined;
  /** Another part of mu reads the text: a verb may not use the terminal. */
  captured?: true;
  /** The exit code that a signal has fixed, such as 130 for Ctrl-C; it goes before any other. */
  endsWith?: number | undefined;
  endAtSignals?: () => void;
  /** The file of this program, where it can be started once more. */
  program?: string | undefined;
}

/** Prints a verb's result: one JSON value, or the drawing with the commands that make sense now. */
export async function showResult(
  operation: Operation,
  input: Readonly<Record<string, unknown>>,
  result: unknown,
  json: boolean,
  output: Output,
): Promise<void> {
  if (json) return output.out(operation.json === undefined ? jsonLine(result) : `${operation.json(result as never)}\n`);
  const paint = await loadPaint(output, operation.spans === true || input["all"] === true);
  const shown = printableValue(result);
  const text = operation.render?.(shown as never, paint) ?? JSON.stringify(shown, null, 2);
  if (text !== "") output.out(`${text}\n`);
  const nextSteps = (shown as { nextSteps?: NextStep[] } | null)?.nextSteps ?? [];
  if (nextSteps.length > 0 && output.hints !== false) output.out(nextBlock(nextSteps, paint));
}

/** Takes what the terminal shows away, and begins at its top. */
const REDRAW = "\u001b[H\u001b[2J";

/** Gives what prints one value of a stream. */
export async function showFollowed(
  operation: Operation,
  json: boolean,
  output: Output,
): Promise<(value: unknown) => void> {
  if (json || operation.renderFollowed === undefined) return (value) => output.out(jsonLine(value));
  const paint = await loadPaint(output, false);
  return (value) => {
    const text = operation.renderFollowed?.(printableValue(value) as never, paint);
    if (text) output.out(`${operation.redraws && output.columns !== undefined ? REDRAW : ""}${text}\n`);
  };
}

async function loadPaint(output: Output, spans: boolean): Promise<Paint> {
  const { createPaint } = await import("./paint.js");
  return createPaint({ colour: output.colour, columns: output.columns, now: Date.now(), spans });
}

function nextBlock(nextSteps: readonly NextStep[], paint: Pick<Paint, "dim">): string {
  const width = Math.max(...nextSteps.map((step) => step.intent.length));
  const lines = nextSteps.map((step) => `  ${step.intent.padEnd(width)} : ${step.command}`);
  return `${paint.dim(["Next:", ...lines].join("\n"))}\n`;
}

/** Prints what went wrong on stderr and gives the exit code, which is the signal's where one came. A bug's stack goes into a log file. */
export function reportError(error: unknown, line: Pick<Line, "json">, output: Output): number {
  const fault = knownFault(error) ?? bug(error);
  const ended = output.endsWith;
  if (line.json) {
    output.err(jsonLine(ended === undefined ? fault : { ...fault.toJSON(), exitCode: ended }));
  } else {
    output.err(printable(`mu: ${fault.message}\n`));
    if (fault.nextSteps.length > 0 && output.hints !== false)
      output.err(printable(nextBlock(fault.nextSteps, { dim: (text) => text })));
  }
  return ended ?? fault.exitCode;
}

function bug(error: unknown): Fault {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const message = error instanceof Error ? (error.message.split("\n", 1)[0] ?? "") : String(error);
  const folder = stateFolder(process.env);
  const file = join(folder, "errors.log");
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    appendFileSync(file, `${new Date().toISOString()} ${process.argv.slice(2).join(" ")}\n${stack}\n\n`, {
      mode: 0o600,
    });
  } catch {
    return bugFault(`${message}. The trace could not be saved.`);
  }
  return bugFault(`${message}. The trace is in ${file}.`);
}

import type { Act, RunStep, Step } from "./player-script.js";
import {
  before,
  type Move,
  type PlayerEffect,
  type PlayerState,
  type PlayingTask,
  print,
  type RunResult,
  stay,
} from "./player-state.js";

/** Gives up what is playing; queued prompts come next. */
export function interrupt(state: PlayerState): Move {
  return before([{ kind: "stop" }, print("Interrupted.")], playNext(state));
}

/** Ends the agent. */
export function leave(state: PlayerState, code: number): Move {
  return stay({ ...state, task: undefined, exitCode: code }, { kind: "stop" }, { kind: "exit", code });
}

/** A prompt is taken at once and plays when its turn comes. */
export function submitPrompt(state: PlayerState, text: string): Move {
  const receipt: PlayerEffect = { kind: "receipt", text };
  if (state.task) return stay({ ...state, queue: [...state.queue, text] }, receipt);
  return before([receipt], playPrompt(state, text));
}

/** Ends what is playing and goes on with the oldest queued prompt. */
export function playNext(state: PlayerState): Move {
  const [prompt, ...queue] = state.queue;
  const idle = { ...state, task: undefined };
  return prompt === undefined ? stay(idle) : playPrompt({ ...idle, queue }, prompt);
}

function playPrompt(state: PlayerState, prompt: string): Move {
  const [first, ...more] = prompt.split("\n");
  const { steps, captures } = findAct(state.script.acts, prompt);
  const task: PlayingTask = {
    prompt,
    captures,
    variables: { prompt: fitForEnvironment(prompt) },
    frames: [{ steps, next: 0 }],
    wait: { number: state.waits, for: "work" },
  };
  const echo = print("", `> ${first}`, ...more.map((line) => `  ${line}`));
  return before([echo], playOn({ ...state, task }));
}

function findAct(acts: readonly Act[], prompt: string): { steps: readonly Step[]; captures: readonly string[] } {
  for (const { when, steps } of acts) {
    if (!when) return { steps, captures: [] };
    const match = when.exec(prompt);
    if (match) return { steps, captures: match.slice(1).map((capture) => capture ?? "") };
  }
  return { steps: [{ kind: "say", text: "I have no script for that." }], captures: [] };
}

/** Plays from the next step on, up to one that takes time. */
export function playOn(state: PlayerState): Move {
  const { task } = state;
  const frame = task?.frames.at(-1);
  if (!task || !frame) return playNext(state);
  const outer = task.frames.slice(0, -1);
  const step = frame.steps[frame.next];
  if (step) {
    const frames = [...outer, { ...frame, next: frame.next + 1 }];
    return playStep(state, { ...task, frames }, step);
  }
  const frames = frame.untilExit === undefined ? outer : [...outer, { ...frame, next: 0 }];
  return playOn({ ...state, task: { ...task, frames } });
}

function playStep(previous: PlayerState, task: PlayingTask, step: Step): Move {
  const state = { ...previous, task };
  switch (step.kind) {
    case "say":
      return before([print(...fill(task, step.text).split("\n"))], playOn(state));
    case "work":
      return waitFor(state, task, "work", (wait) => [{ kind: "work", wait, ms: step.ms }]);
    case "run": {
      const { command } = step;
      const { variables, captures } = task;
      const begin = (wait: number): PlayerEffect[] => [
        print(`$ ${command}`),
        { kind: "run", wait, command, variables, captures },
      ];
      return waitFor(state, task, step, begin);
    }
    case "permission":
      return waitFor(state, task, { kind: "permission", command: fill(task, step.command) }, () => []);
    case "fail":
      return failTask(state, fill(task, step.text));
    case "crash":
      return before([print(`FATAL ERROR: ${step.text}`)], leave(state, 1));
    case "loop": {
      const frames = [...task.frames, { steps: step.steps, next: 0, untilExit: step.untilExit }];
      return playOn({ ...state, task: { ...task, frames } });
    }
  }
}

function waitFor(
  state: PlayerState,
  task: PlayingTask,
  what: PlayingTask["wait"]["for"],
  begin: (wait: number) => PlayerEffect[],
): Move {
  const number = state.waits + 1;
  return stay({ ...state, waits: number, task: { ...task, wait: { number, for: what } } }, ...begin(number));
}

/** The last line of a prompt that went wrong. */
function failTask(state: PlayerState, reason: string): Move {
  return before([print(`Error: ${reason}`)], playNext(state));
}

/** Goes on after a command: shows what it printed, keeps what the step wants, and decides what a failure means. */
export function takeResult(state: PlayerState, result: RunResult): Move {
  const { task } = state;
  const step = task?.wait.for;
  if (!task || typeof step !== "object" || step.kind !== "run") return stay(state);
  const kept = result.code === 0 ? keepVariables(step, result.stdout) : {};
  const shown = [print(...shownLines(result, kept ?? {}))];
  const variables = { ...task.variables, output: fitForEnvironment(result.stdout.trim()), ...kept };
  const after = { ...state, task: { ...task, variables } };
  if (kept === undefined) return before(shown, failTask(after, `${step.command} printed no ${wantedBy(step)}`));
  if (result.code === 0) return before(shown, playOn(after));
  return before(shown, takeFailure(after, task, step, result.code));
}

function takeFailure(state: PlayerState, task: PlayingTask, step: RunStep, code: number | null): Move {
  const loop = task.frames.findLastIndex(({ untilExit }) => untilExit === code);
  if (loop >= 0 && state.task) {
    return playOn({ ...state, task: { ...state.task, frames: task.frames.slice(0, loop) } });
  }
  return step.mayFail ? playOn(state) : failTask(state, `${step.command} ${endOf(code)}`);
}

function endOf(code: number | null): string {
  return code === null ? "was ended" : `exited with ${code}`;
}

/** JSON that was asked for is for the script; a person sees what was found in it. */
function shownLines({ code, stdout, stderr }: RunResult, kept: Readonly<Record<string, string>>): string[] {
  const found = Object.entries(kept).map(([name, value]) => `  ${name}: ${value}`);
  return code === 0 && found.length > 0 ? found : outputLines(`${stdout}\n${stderr}`);
}

const SHOWN_OUTPUT_LINES = 12;

function outputLines(output: string): string[] {
  const lines = output.split("\n").filter((line) => line.trim() !== "");
  const hidden = lines.length - SHOWN_OUTPUT_LINES;
  const shown = hidden > 0 ? [`… ${hidden} more lines`, ...lines.slice(-SHOWN_OUTPUT_LINES)] : lines;
  return shown.map((line) => `  ${line}`);
}

/** The variables that `step` keeps of its output; undefined when one of them is not there. */
function keepVariables(step: RunStep, stdout: string): Record<string, string> | undefined {
  const wanted = Object.entries(step.keep);
  if (wanted.length === 0) return {};
  const json = parseJson(stdout);
  const found = wanted.map(([name, path]) => [name, valueAt(json, path.split("."))] as const);
  if (found.some(([, value]) => value === undefined || value === null)) return undefined;
  return Object.fromEntries(
    found.map(([name, value]) => [
      name,
      fitForEnvironment(typeof value === "object" ? JSON.stringify(value) : String(value)),
    ]),
  );
}

function wantedBy(step: RunStep): string {
  return Object.values(step.keep).join(", ");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
  return valueAt((value as Readonly<Record<string, unknown>>)[key], rest);
}

/** Linux takes at most 128 KiB per variable, in bytes and without NUL. */
function fitForEnvironment(text: string): string {
  return text.replaceAll("\0", "").slice(0, 30_000);
}

/** Puts variables and captures into a text; what is unknown becomes empty. */
function fill({ variables, captures }: PlayingTask, text: string): string {
  const lookUp = (name: string) => (Object.hasOwn(variables, name) ? variables[name] : captures[Number(name) - 1]);
  return text.replace(/\$\{(\w+)\}/g, (_, name: string) => lookUp(name) ?? "");
}

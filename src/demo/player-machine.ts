import type { Act, PlayerScript, RunStep, Step } from "./player-script.js";

/** A key press, or a paste, by a person or by tmux. */
export type Key =
  | { name: "text" | "paste"; text: string }
  | { name: "enter" | "newline" | "backspace" | "escape" | "clear" | "interrupt" | "end" };

/** Everything the scripted agent knows. It changes only through `advance`. */
export interface PlayerState {
  readonly script: PlayerScript;
  readonly draft: readonly DraftPart[];
  /** Enter presses so far, for the quirk that swallows some. */
  readonly enters: number;
  /** Prompts that arrived while another one was playing, oldest first. */
  readonly queue: readonly string[];
  readonly task: PlayingTask | undefined;
  /** Numbers the waits, so that the end of an interrupted one is recognised and ignored. */
  readonly waits: number;
  /** Position of the spinner. */
  readonly ticks: number;
  readonly exitCode: number | undefined;
}

/** A piece of the composer. What is shown differs from the text where a large paste is collapsed. */
interface DraftPart {
  readonly shown: string;
  readonly text: string;
}

interface PlayingTask {
  readonly captures: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
  /** Where the script stands: the act at the bottom, the loops it is in above. */
  readonly frames: readonly Frame[];
  readonly wait: { readonly number: number; readonly for: "work" | RunStep | Question };
}

interface Frame {
  readonly steps: readonly Step[];
  readonly next: number;
  /** Only loops have it. */
  readonly untilExit?: number;
}

interface Question {
  readonly kind: "permission";
  readonly command: string;
}

export type PlayerInput =
  | { kind: "key"; key: Key }
  /** A prompt given on the command line. */
  | { kind: "prompt"; text: string }
  | { kind: "tick" }
  /** The terminal is gone. */
  | { kind: "hangup" }
  | { kind: "worked"; wait: number }
  | { kind: "ran"; wait: number; result: RunResult };

/** `code` is null when the command was ended from outside. */
export interface RunResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** What the terminal around the state has to do, in order. */
export type PlayerEffect =
  | { kind: "print"; lines: readonly string[] }
  /** A prompt left the composer. */
  | { kind: "receipt"; text: string }
  | { kind: "work"; wait: number; ms: number }
  | {
      kind: "run";
      wait: number;
      command: string;
      variables: Readonly<Record<string, string>>;
      captures: readonly string[];
    }
  /** Gives up what `work` or `run` began. */
  | { kind: "stop" }
  | { kind: "exit"; code: number };

interface Move {
  readonly state: PlayerState;
  readonly effects: readonly PlayerEffect[];
}

/** What a person sees the agent doing. */
type Phase = "ready" | "working" | "asking" | "gone";

export function startPlayer(script: PlayerScript): PlayerState {
  return { script, draft: [], enters: 0, queue: [], task: undefined, waits: 0, ticks: 0, exitCode: undefined };
}

export function phaseOf(state: PlayerState): Phase {
  if (state.exitCode !== undefined) return "gone";
  if (!state.task) return "ready";
  return questionOf(state) === undefined ? "working" : "asking";
}

/** The command that the agent asks permission for. */
export function questionOf({ task }: PlayerState): string | undefined {
  const waitingFor = task?.wait.for;
  return typeof waitingFor === "object" && waitingFor.kind === "permission" ? waitingFor.command : undefined;
}

/** The only transition: one input, the state after it, and what is to be done outside. */
export function advance(state: PlayerState, input: PlayerInput): Move {
  const { effects, ...after } = take({ ...state, effects: [] }, input);
  return { state: after, effects };
}

/** A transition under way: the state so far, and what is to be done outside. */
type Turn = PlayerState & { readonly effects: readonly PlayerEffect[] };

function take(turn: Turn, input: PlayerInput): Turn {
  if (turn.exitCode !== undefined) return turn;
  switch (input.kind) {
    case "key":
      return questionOf(turn) === undefined ? pressKey(turn, input.key) : answerWith(turn, input.key);
    case "prompt":
      return submitPrompt(turn, input.text);
    case "tick":
      return { ...turn, ticks: turn.ticks + 1 };
    case "hangup":
      return leave(turn, 0);
    case "worked":
      return turn.task?.wait.number === input.wait ? playOn(turn) : turn;
    case "ran":
      return turn.task?.wait.number === input.wait ? takeResult(turn, turn.task, input.result) : turn;
  }
}

function emit(turn: Turn, ...effects: PlayerEffect[]): Turn {
  return { ...turn, effects: [...turn.effects, ...effects] };
}

/** Adds lines to the transcript. */
function print(turn: Turn, ...lines: string[]): Turn {
  return emit(turn, { kind: "print", lines });
}

function pressKey(turn: Turn, key: Key): Turn {
  switch (key.name) {
    case "text":
      return write(turn, characters(key.text));
    case "newline":
      return write(turn, characters("\n"));
    case "paste":
      return write(turn, pasteParts(turn, key.text));
    case "backspace":
      return { ...turn, draft: turn.draft.slice(0, -1) };
    case "clear":
      return { ...turn, draft: [] };
    case "enter":
      return pressEnter(turn);
    case "escape":
      return turn.task ? interrupt(turn) : turn;
    case "interrupt":
      return pressControlC(turn);
    case "end":
      return turn.draft.length === 0 && !turn.task ? leave(turn, 0) : turn;
  }
}

function write(turn: Turn, parts: readonly DraftPart[]): Turn {
  return { ...turn, draft: [...turn.draft, ...parts] };
}

const characters = (text: string): DraftPart[] => [...text].map((character) => ({ shown: character, text: character }));

/** Pastes of this many lines or characters and more are shown as a placeholder. */
const LARGE_PASTE = { lines: 4, characters: 500 };

function pasteParts({ draft }: Turn, pasted: string): DraftPart[] {
  const text = pasted.replaceAll("\0", "");
  const lines = text.split("\n").length;
  if (lines < LARGE_PASTE.lines && text.length < LARGE_PASTE.characters) return characters(text);
  const number = draft.filter(({ shown }) => shown.startsWith("[paste #")).length + 1;
  const size = lines >= LARGE_PASTE.lines ? `+${lines} lines` : `${text.length} chars`;
  return [{ shown: `[paste #${number} ${size}]`, text }];
}

function pressEnter(before: Turn): Turn {
  const turn = { ...before, enters: before.enters + 1 };
  const { loseEveryNthEnter } = turn.script.quirks;
  if (loseEveryNthEnter > 0 && turn.enters % loseEveryNthEnter === 0) return turn;
  const prompt = turn.draft.map(({ text }) => text).join("");
  return prompt.trim() === "" ? turn : submitPrompt({ ...turn, draft: [] }, prompt);
}

function pressControlC(turn: Turn): Turn {
  if (turn.draft.length > 0) return { ...turn, draft: [] };
  return turn.task ? interrupt(turn) : leave(turn, 0);
}

/** The first y or n in what is typed is the answer; the rest goes to the composer. All else is lost on the dialog. */
function answerWith(turn: Turn, key: Key): Turn {
  if (key.name === "escape" || key.name === "interrupt") return interrupt(turn);
  if (key.name !== "text") return turn;
  const at = key.text.search(/[yn]/i);
  if (at < 0) return turn;
  const isAllowed = key.text.charAt(at).toLowerCase() === "y";
  const said = print(turn, `${isAllowed ? "Allowed" : "Denied"}: ${questionOf(turn)}`);
  const answered = isAllowed ? playOn(said) : playNext(said);
  const rest = key.text.slice(at + 1);
  return rest === "" ? answered : take(answered, { kind: "key", key: { name: "text", text: rest } });
}

/** Abandons the current prompt; queued prompts come next. */
function interrupt(turn: Turn): Turn {
  return playNext(print(emit(turn, { kind: "stop" }), "Interrupted."));
}

/** Ends the agent. */
function leave(turn: Turn, code: number): Turn {
  return emit({ ...turn, task: undefined, exitCode: code }, { kind: "stop" }, { kind: "exit", code });
}

/** A prompt is taken at once and plays when its turn comes. */
function submitPrompt(turn: Turn, text: string): Turn {
  const queued = emit({ ...turn, queue: [...turn.queue, text] }, { kind: "receipt", text });
  return turn.task ? queued : playNext(queued);
}

/** Ends the current prompt and starts the oldest queued one. */
function playNext(turn: Turn): Turn {
  const [prompt, ...queue] = turn.queue;
  if (prompt === undefined) return { ...turn, task: undefined };
  const [first, ...more] = prompt.split("\n");
  const echoed = print(turn, "", `> ${first}`, ...more.map((line) => `  ${line}`));
  const { steps, captures } = findAct(turn.script.acts, prompt);
  const task: PlayingTask = {
    captures,
    variables: { prompt: fitForEnvironment(prompt) },
    frames: [{ steps, next: 0 }],
    wait: { number: turn.waits, for: "work" },
  };
  return playOn({ ...echoed, queue, task });
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
function playOn(turn: Turn): Turn {
  const { task } = turn;
  const frame = task?.frames.at(-1);
  if (!task || !frame) return playNext(turn);
  const outer = task.frames.slice(0, -1);
  const step = frame.steps[frame.next];
  if (step) return playStep(turn, { ...task, frames: [...outer, { ...frame, next: frame.next + 1 }] }, step);
  const frames = frame.untilExit === undefined ? outer : [...outer, { ...frame, next: 0 }];
  return playOn({ ...turn, task: { ...task, frames } });
}

function playStep(before: Turn, task: PlayingTask, step: Step): Turn {
  const turn = { ...before, task };
  const wait = turn.waits + 1;
  switch (step.kind) {
    case "say":
      return playOn(print(turn, ...fill(task, step.text).split("\n")));
    case "work":
      return emit(waitFor(turn, "work"), { kind: "work", wait, ms: step.ms });
    case "run": {
      const { command } = step;
      const { variables, captures } = task;
      return emit(print(waitFor(turn, step), `$ ${command}`), { kind: "run", wait, command, variables, captures });
    }
    case "permission":
      return waitFor(turn, { kind: "permission", command: fill(task, step.command) });
    case "fail":
      return failTask(turn, fill(task, step.text));
    case "crash":
      return leave(print(turn, `FATAL ERROR: ${step.text}`), 1);
    case "loop": {
      const frames = [...task.frames, { steps: step.steps, next: 0, untilExit: step.untilExit }];
      return playOn({ ...turn, task: { ...task, frames } });
    }
  }
}

/** Waits are numbered, from 1. */
function waitFor(turn: Turn & { task: PlayingTask }, what: PlayingTask["wait"]["for"]): Turn {
  const number = turn.waits + 1;
  return { ...turn, waits: number, task: { ...turn.task, wait: { number, for: what } } };
}

/** The last line of a prompt that went wrong. */
function failTask(turn: Turn, reason: string): Turn {
  return playNext(print(turn, `Error: ${reason}`));
}

/** Continues after a command: shows its output, keeps variables, and decides what a failure means. */
function takeResult(turn: Turn, task: PlayingTask, result: RunResult): Turn {
  const step = task.wait.for;
  if (typeof step !== "object" || step.kind !== "run") return turn;
  const kept = result.code === 0 ? keepVariables(step, result.stdout) : {};
  const variables = { ...task.variables, output: fitForEnvironment(result.stdout.trim()), ...kept };
  const after = print({ ...turn, task: { ...task, variables } }, ...shownLines(result, kept ?? {}));
  if (kept === undefined) return failTask(after, `${step.command} printed no ${Object.values(step.keep).join(", ")}`);
  if (result.code === 0) return playOn(after);
  const loop = task.frames.findLastIndex(({ untilExit }) => untilExit === result.code);
  if (loop >= 0) return playOn({ ...after, task: { ...task, variables, frames: task.frames.slice(0, loop) } });
  if (step.mayFail) return playOn(after);
  return failTask(after, `${step.command} ${result.code === null ? "was ended" : `exited with ${result.code}`}`);
}

/** JSON that was asked for is for the script; a person sees what was found in it. */
function shownLines({ code, stdout, stderr }: RunResult, kept: Readonly<Record<string, string>>): string[] {
  const found = Object.entries(kept).map(([name, value]) => `  ${name}: ${value}`);
  if (code === 0 && found.length > 0) return found;
  const lines = `${stdout}\n${stderr}`.split("\n").filter((line) => line.trim() !== "");
  const hidden = lines.length - SHOWN_OUTPUT_LINES;
  const shown = hidden > 0 ? [`… ${hidden} more lines`, ...lines.slice(-SHOWN_OUTPUT_LINES)] : lines;
  return shown.map((line) => `  ${line}`);
}

const SHOWN_OUTPUT_LINES = 12;

/** The variables that `step` keeps of its output; undefined when one of them is not there. */
function keepVariables(step: RunStep, stdout: string): Record<string, string> | undefined {
  const kept: Record<string, string> = {};
  for (const [name, path] of Object.entries(step.keep)) {
    const value = valueAt(stdout, path.split("."));
    if (value === undefined || value === null) return undefined;
    kept[name] = fitForEnvironment(typeof value === "object" ? JSON.stringify(value) : String(value));
  }
  return kept;
}

/** What is at `path` in a JSON text; undefined where there is nothing, or no JSON. */
function valueAt(json: string, path: readonly string[]): unknown {
  try {
    return path.reduce((value, key) => (Object.hasOwn(value, key) ? value[key] : undefined), JSON.parse(json));
  } catch {
    return undefined;
  }
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

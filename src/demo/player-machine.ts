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
export interface DraftPart {
  readonly shown: string;
  readonly text: string;
}

export interface PlayingTask {
  readonly prompt: string;
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

export interface Move {
  readonly state: PlayerState;
  readonly effects: readonly PlayerEffect[];
}

/** What a person sees the agent doing. */
export type Phase = "ready" | "working" | "asking" | "gone";

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

/** A move that does nothing more than this. */
export function stay(state: PlayerState, ...effects: PlayerEffect[]): Move {
  return { state, effects };
}

/** `move` with `effects` before its own. */
export function before(effects: readonly PlayerEffect[], move: Move): Move {
  return { state: move.state, effects: [...effects, ...move.effects] };
}

/** The effect of adding lines to the transcript. */
export function print(...lines: string[]): PlayerEffect {
  return { kind: "print", lines };
}

/** The only transition: one input, the state after it, and what is to be done outside. */
export function advance(state: PlayerState, input: PlayerInput): Move {
  if (state.exitCode !== undefined) return stay(state);
  switch (input.kind) {
    case "key":
      return questionOf(state) === undefined ? pressKey(state, input.key) : answerWith(state, input.key);
    case "prompt":
      return submitPrompt(state, input.text);
    case "tick":
      return stay({ ...state, ticks: state.ticks + 1 });
    case "hangup":
      return leave(state, 0);
    case "worked":
      return isAwaited(state, input.wait) ? playOn(state) : stay(state);
    case "ran":
      return isAwaited(state, input.wait) ? takeResult(state, input.result) : stay(state);
  }
}

function isAwaited({ task }: PlayerState, wait: number): boolean {
  return task?.wait.number === wait;
}

function pressKey(state: PlayerState, key: Key): Move {
  switch (key.name) {
    case "text":
      return stay({ ...state, draft: [...state.draft, ...[...key.text].map((text) => ({ shown: text, text }))] });
    case "newline":
      return stay({ ...state, draft: [...state.draft, { shown: "\n", text: "\n" }] });
    case "paste":
      return stay({ ...state, draft: [...state.draft, ...pasteParts(state, key.text)] });
    case "backspace":
      return stay({ ...state, draft: state.draft.slice(0, -1) });
    case "clear":
      return stay({ ...state, draft: [] });
    case "enter":
      return pressEnter(state);
    case "escape":
      return state.task ? interrupt(state) : stay(state);
    case "interrupt":
      return pressControlC(state);
    case "end":
      return state.draft.length === 0 && !state.task ? leave(state, 0) : stay(state);
  }
}

/** Pastes of this many lines or characters and more are shown as a placeholder. */
const LARGE_PASTE = { lines: 4, characters: 500 };

function pasteParts({ draft }: PlayerState, pasted: string): DraftPart[] {
  const text = pasted.replaceAll("\0", "");
  const lines = text.split("\n").length;
  const isLarge = lines >= LARGE_PASTE.lines || text.length >= LARGE_PASTE.characters;
  if (!isLarge) return [...text].map((character) => ({ shown: character, text: character }));
  const number = draft.filter(({ shown }) => shown.startsWith("[paste #")).length + 1;
  const size = lines >= LARGE_PASTE.lines ? `+${lines} lines` : `${text.length} chars`;
  return [{ shown: `[paste #${number} ${size}]`, text }];
}

function pressEnter(previous: PlayerState): Move {
  const state = { ...previous, enters: previous.enters + 1 };
  const { loseEveryNthEnter } = state.script.quirks;
  if (loseEveryNthEnter > 0 && state.enters % loseEveryNthEnter === 0) return stay(state);
  const prompt = state.draft.map(({ text }) => text).join("");
  return prompt.trim() === "" ? stay(state) : submitPrompt({ ...state, draft: [] }, prompt);
}

function pressControlC(state: PlayerState): Move {
  if (state.draft.length > 0) return stay({ ...state, draft: [] });
  return state.task ? interrupt(state) : leave(state, 0);
}

/** The first y or n in what is typed is the answer; the rest goes to the composer. All else is lost on the dialog. */
function answerWith(state: PlayerState, key: Key): Move {
  if (key.name === "escape" || key.name === "interrupt") return interrupt(state);
  if (key.name !== "text") return stay(state);
  const at = key.text.search(/[yn]/i);
  if (at < 0) return stay(state);
  const answered = decide(state, key.text.charAt(at).toLowerCase() === "y" ? "Allowed" : "Denied");
  const rest = key.text.slice(at + 1);
  if (rest === "") return answered;
  return before(answered.effects, advance(answered.state, { kind: "key", key: { name: "text", text: rest } }));
}

/** A yes continues the prompt, a no ends it. */
function decide(state: PlayerState, decision: "Allowed" | "Denied"): Move {
  const said = print(`${decision}: ${questionOf(state)}`);
  return before([said], decision === "Allowed" ? playOn(state) : playNext(state));
}

/** Abandons the current prompt; queued prompts come next. */
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

/** Ends the current prompt and starts the oldest queued one. */
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

/** Continues after a command: shows its output, keeps variables, and decides what a failure means. */
export function takeResult(state: PlayerState, result: RunResult): Move {
  const { task } = state;
  const step = task?.wait.for;
  if (!task || typeof step !== "object" || step.kind !== "run") return stay(state);
  const kept = result.code === 0 ? keepVariables(step, result.stdout) : {};
  const shown = [print(...shownLines(result, kept ?? {}))];
  const variables = { ...task.variables, output: fitForEnvironment(result.stdout.trim()), ...kept };
  const after = { ...state, task: { ...task, variables } };
  if (kept === undefined) {
    const wanted = Object.values(step.keep).join(", ");
    return before(shown, failTask(after, `${step.command} printed no ${wanted}`));
  }
  if (result.code === 0) return before(shown, playOn(after));
  return before(shown, takeFailure(after, task, step, result.code));
}

function takeFailure(state: PlayerState, task: PlayingTask, step: RunStep, code: number | null): Move {
  const loop = task.frames.findLastIndex(({ untilExit }) => untilExit === code);
  if (loop >= 0 && state.task) {
    return playOn({ ...state, task: { ...state.task, frames: task.frames.slice(0, loop) } });
  }
  if (step.mayFail) return playOn(state);
  return failTask(state, `${step.command} ${code === null ? "was ended" : `exited with ${code}`}`);
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

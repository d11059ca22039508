import { Fault } from "../errors.js";
import { isObject } from "../shape.js";

/** What the scripted agent does for each prompt. */
export interface PlayerScript {
  /** The first act whose `when` is found in the prompt plays; one without `when` plays for every prompt. */
  acts: readonly Act[];
  quirks: Quirks;
}

export interface Act {
  when?: RegExp;
  steps: readonly Step[];
}

/** Ways in which real agent CLIs make delivery hard. */
interface Quirks {
  /** Every n-th Enter is swallowed and the text stays in the composer; 0 for never. */
  loseEveryNthEnter: number;
  /** How long the terminal stays blank and unread after the start, in ms. */
  slowStartMs: number;
  /** Never asks the terminal to bracket pastes. */
  noBracketedPaste: boolean;
}

/**
 * One thing that the agent does. In `say`, `ask` and `fail`, `${name}` is a variable; in `run` the same variables are
 * the shell's own, so that no value is ever parsed as a command. Variables: `prompt`, `output` (of the latest `run`),
 * whatever a `run` kept, and the captures of `when` as `${1}`, `${2}` (in `run`: `$1`, `$2`).
 */
export type Step =
  | { kind: "say"; text: string }
  /** Busy for this long. */
  | { kind: "work"; ms: number }
  | RunStep
  /** Asks for permission and waits; a no ends the prompt. */
  | { kind: "permission"; command: string }
  /** Ends the prompt with an error line. */
  | { kind: "fail"; text: string }
  /** The process dies in the middle of its task, with exit code 1. */
  | { kind: "crash"; text: string }
  /** Repeats its steps until a command among them exits with `untilExit`. */
  | { kind: "loop"; steps: readonly Step[]; untilExit: number };

export interface RunStep {
  kind: "run";
  command: string;
  /** Variables to keep, each with its path in the JSON that the command printed: `{"task": "task.name"}`. */
  keep: Readonly<Record<string, string>>;
  /** A failure is shown and forgiven. Without it the prompt ends with an error line. */
  mayFail: boolean;
}

const DEFAULT_WORK_MS = 20;
/** What `mu task claim --next` exits with when there is nothing left to claim. */
const NOTHING_LEFT = 3;

/** The script of an agent without one: it works for a moment and says so. */
export const DEFAULT_SCRIPT: PlayerScript = {
  acts: [
    {
      steps: [
        { kind: "work", ms: DEFAULT_WORK_MS },
        { kind: "say", text: "Done." },
      ],
    },
  ],
  quirks: { loseEveryNthEnter: 0, slowStartMs: 0, noBracketedPaste: false },
};

/**
 * Reads a script, for example
 * `{"acts": [{"when": "build (.+)", "steps": [{"say": "Building ${1}."}, {"run": "make \"$1\""}]}]}`.
 * Throws the fault `player.bad_script`, which names the place.
 */
export function parseScript(json: string): PlayerScript {
  const script = asRecord(parseJson(json), "script");
  return {
    acts: asList(script.acts ?? [], "acts").map((act, at) => parseAct(act, `acts[${at}]`)),
    quirks: parseQuirks(asRecord(script.quirks ?? {}, "quirks")),
  };
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw bad("script", error instanceof Error ? error.message : "JSON");
  }
}

function parseAct(value: unknown, at: string): Act {
  const act = asRecord(value, at);
  const steps = parseSteps(act.steps, `${at}.steps`);
  return act.when === undefined ? { steps } : { when: asPattern(act.when, `${at}.when`), steps };
}

function parseQuirks(quirks: Fields): Quirks {
  return {
    loseEveryNthEnter: asCount(quirks.loseEveryNthEnter ?? 0, "quirks.loseEveryNthEnter"),
    slowStartMs: asCount(quirks.slowStartMs ?? 0, "quirks.slowStartMs"),
    noBracketedPaste: asFlag(quirks.noBracketedPaste ?? false, "quirks.noBracketedPaste"),
  };
}

function parseSteps(value: unknown, at: string): Step[] {
  return asList(value, at).map((step, index) => parseStep(asRecord(step, `${at}[${index}]`), `${at}[${index}]`));
}

/** The key that names a step, and how its fields are read. */
const STEP_PARSERS: { [Kind in Step["kind"]]: (step: Fields, at: string) => Extract<Step, { kind: Kind }> } = {
  say: (step, at) => ({ kind: "say", text: asText(step.say, at) }),
  work: (step, at) => ({ kind: "work", ms: step.work === true ? DEFAULT_WORK_MS : asCount(step.work, at) }),
  run: (step, at) => ({
    kind: "run",
    command: asText(step.run, at),
    keep: asVariables(step.keep ?? {}, `${at}.keep`),
    mayFail: asFlag(step.mayFail ?? false, `${at}.mayFail`),
  }),
  permission: (step, at) => ({ kind: "permission", command: asText(step.permission, at) }),
  fail: (step, at) => ({ kind: "fail", text: asText(step.fail, at) }),
  crash: (step, at) => ({ kind: "crash", text: step.crash === true ? "out of memory" : asText(step.crash, at) }),
  loop: (step, at) => {
    const steps = parseSteps(step.loop, `${at}.loop`);
    if (!runsSomething(steps)) throw bad(`${at}.loop`, "a list with at least one run, which is what can end it");
    return { kind: "loop", steps, untilExit: asCount(step.untilExit ?? NOTHING_LEFT, `${at}.untilExit`) };
  },
};

function parseStep(step: Fields, at: string): Step {
  const kinds = Object.keys(STEP_PARSERS) as Step["kind"][];
  const kind = kinds.find((candidate) => candidate in step);
  if (!kind) throw bad(at, `one of ${kinds.join(", ")}`);
  return STEP_PARSERS[kind](step, at);
}

function runsSomething(steps: readonly Step[]): boolean {
  return steps.some((step) => step.kind === "run" || (step.kind === "loop" && runsSomething(step.steps)));
}

type Fields = Readonly<Record<string, unknown>>;

const asRecord = reader("an object", isObject);
const asList = reader("a list", (value): value is readonly unknown[] => Array.isArray(value));
const asText = reader("a string", (value) => typeof value === "string");
const asFlag = reader("true or false", (value) => typeof value === "boolean");
const asCount = reader(
  "a whole number, 0 or more",
  (value): value is number => Number.isInteger(value) && Number(value) >= 0,
);

/** Gives a value back whose type `is` confirms. */
function reader<T>(wanted: string, is: (value: unknown) => value is T): (value: unknown, at: string) => T {
  return (value, at) => {
    if (is(value)) return value;
    throw bad(at, wanted);
  };
}

function asPattern(value: unknown, at: string): RegExp {
  try {
    return new RegExp(asText(value, at));
  } catch (error) {
    if (error instanceof SyntaxError) throw bad(at, "a regular expression");
    throw error;
  }
}

/** Names stay lower case, so that no variable can shadow `PATH` or `MU_AGENT` in a command. */
function asVariables(value: unknown, at: string): Record<string, string> {
  const entries = Object.entries(asRecord(value, at));
  const stranger = entries.find(([name]) => !/^[a-z][a-z0-9_]*$/.test(name));
  if (stranger) throw bad(`${at}.${stranger[0]}`, "a lower-case name");
  return Object.fromEntries(entries.map(([name, path]) => [name, asText(path, `${at}.${name}`)]));
}

function bad(at: string, wanted: string): Fault {
  return new Fault("usage", "player.bad_script", `Invalid player script: ${at} must be ${wanted}.`);
}

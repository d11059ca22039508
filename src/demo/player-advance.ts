import type { Key } from "./player-keys.js";
import {
  before,
  type DraftPart,
  type Move,
  type PlayerInput,
  type PlayerState,
  print,
  questionOf,
  stay,
} from "./player-state.js";
import { interrupt, leave, playNext, playOn, submitPrompt, takeResult } from "./player-steps.js";

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
  const answered = key.text.charAt(at).toLowerCase() === "y" ? allow(state) : deny(state);
  const rest = key.text.slice(at + 1);
  if (rest === "") return answered;
  return before(answered.effects, advance(answered.state, { kind: "key", key: { name: "text", text: rest } }));
}

function allow(state: PlayerState): Move {
  return before([print(`Allowed: ${questionOf(state)}`)], playOn(state));
}

function deny(state: PlayerState): Move {
  return before([print(`Denied: ${questionOf(state)}`)], playNext(state));
}

/** What the fake model says: plain data and functions, chosen by the latest prompt of a conversation. */
export interface ModelScript {
  /** The first conversation whose `when` is found in the latest prompt answers it. */
  conversations: readonly Conversation[];
  /** For prompts without a conversation and for conversations that ran out of turns. */
  otherwise?: Turn;
  /** For requests that offer no tools, such as title generation. */
  aside?: Turn;
}

interface Conversation {
  when: RegExp;
  /** One turn per answer of the model: the first for the prompt, the next after that turn's tool results, and so on. */
  turns: readonly (Turn | ((moment: Moment) => Turn))[];
}

/** Where a conversation stands when the model is asked. */
export interface Moment {
  /** What the person said last, without what the client wrapped around it. */
  prompt: string;
  /** What the person said before that in this conversation. */
  earlier: readonly string[];
  /** How often the model has answered since that prompt. */
  step: number;
  /** What the latest tool call printed, or "". */
  toolResult: string;
  /** The match of the conversation's `when` in the prompt; captures from index 1. */
  captures: readonly string[];
}

interface Turn {
  text?: string;
  /** Commands for whichever shell tool the client offers; several are parallel calls in one answer. */
  shell?: string | readonly string[];
  /** Asks to run them outside the client's sandbox, where its shell tool can ask for that. */
  leaves?: boolean;
  /** Answers with an HTTP error instead, the first `times` times (default: always). */
  error?: { status: number; message?: string; times?: number; retryAfterSeconds?: number };
  /** Stops in the middle of the answer until `release` is called with this name. */
  hold?: string;
  /** Cuts the connection in the middle of the answer, the first `times` times (default: always). */
  drop?: { times?: number };
  usage?: Partial<Usage>;
}

/** Tokens. `input` counts what was not `cached`. */
export interface Usage {
  input: number;
  cached: number;
  output: number;
}

export interface ChosenTurn extends Turn {
  /** Which conversation and step, for the log: `RUN:.(.+)#0`, `otherwise`, `aside`. */
  label: string;
}

/** The turn that `script` has for this moment of a conversation. */
export function chooseTurn(script: ModelScript, moment: Omit<Moment, "captures">, offersTools: boolean): ChosenTurn {
  if (!offersTools) return { text: "A title", ...script.aside, label: "aside" };
  for (const { when, turns } of script.conversations) {
    const captures = when.exec(moment.prompt);
    if (!captures) continue;
    const turn = turns[moment.step];
    if (turn === undefined) break;
    const label = `${when.source}#${moment.step}`;
    return { ...(typeof turn === "function" ? turn({ ...moment, captures }) : turn), label };
  }
  return { text: "Done.", ...script.otherwise, label: "otherwise" };
}

/** Tokens as they are priced: `input` never contains what was read from a cache. */
export interface Tokens {
  input: number;
  output: number;
  cacheRead: number;
  cacheWrite5m: number;
  cacheWrite1h: number;
}

/**
 * Why a run failed, as far as it decides what happens next. `rate_limit` (429, overload, 5xx), `crash`, `nonzero` and
 * `no_output` are worth another try; `auth` (login, key or credit), `config` and `permission_denied` need a person.
 */
export type FailureClass = "rate_limit" | "auth" | "config" | "permission_denied" | "crash" | "nonzero" | "no_output";

/** How a headless run ended. A run may be `ok` and still `permission_denied`: its answer may be hollow. */
export interface HeadlessResult {
  ok: boolean;
  sessionRef?: string;
  text?: string;
  /** The CLI's own estimate in USD; absent where the CLI knows no prices. */
  costUsd?: number;
  tokens: Tokens;
  error?: string;
  failureClass?: FailureClass;
}

export const NO_TOKENS: Tokens = { input: 0, output: 0, cacheRead: 0, cacheWrite5m: 0, cacheWrite1h: 0 };

/** The raw answer of a CLI before it is judged. */
export interface Answer {
  sessionRef: string | undefined;
  text: string | undefined;
  costUsd?: number | undefined;
  tokens: Tokens;
  error?: string | undefined;
  failureClass?: FailureClass | undefined;
}

/** Judges a run by what it said and how it ended. */
export function settleResult(answer: Answer, stderr: string, exitCode: number | null): HeadlessResult {
  const silent = !answer.text?.trim();
  const failed = answer.error !== undefined || exitCode !== 0;
  const error =
    answer.error ?? (failed ? lastLine(stderr) || describeExit(exitCode) : silent ? "no output" : undefined);
  const failureClass =
    answer.failureClass ?? (error === undefined ? undefined : classifyFailure(error, exitCode, failed));
  return {
    ok: error === undefined,
    tokens: answer.tokens,
    ...(answer.sessionRef !== undefined && { sessionRef: answer.sessionRef }),
    ...(!silent && answer.text !== undefined && { text: answer.text }),
    ...(answer.costUsd !== undefined && { costUsd: answer.costUsd }),
    ...(error !== undefined && { error }),
    ...(failureClass !== undefined && { failureClass }),
  };
}

/** Words that vendors put into their errors, the first that fits. Credit counts as `auth`: only a person can refill it. */
const FAILURES: readonly (readonly [FailureClass, RegExp])[] = [
  [
    "auth",
    /credit|billing|payment|insufficient_quota|unauthori[sz]ed|forbidden|\b40[123]\b|log ?in\b|logged in|api.?key|oauth|authenticat/i,
  ],
  [
    "rate_limit",
    /rate.?limit|\b429\b|too many requests|overloaded|quota|usage limit|hit your .{0,20}limit|resource.?exhausted|\b5\d\d\b|capacity|unavailable|timed? ?out|econn|eai_again|enotfound/i,
  ],
  ["permission_denied", /permission.{0,20}(?:denied|rejected)|rejected permission|not permitted/i],
  [
    "config",
    /unknown (?:option|argument|model)|unexpected argument|invalid (?:option|value|model)|model.{0,60}not (?:found|supported)|no such file|command not found|config|not inside a trusted|\b404\b/i,
  ],
];

function classifyFailure(error: string, exitCode: number | null, failed: boolean): FailureClass {
  const known = FAILURES.find(([, words]) => words.test(error.slice(0, 2000)));
  if (known) return known[0];
  if (!failed) return "no_output";
  return exitCode === null || exitCode > 128 ? "crash" : "nonzero";
}

function describeExit(exitCode: number | null): string {
  return exitCode === null ? "ended by a signal" : `ended with exit code ${exitCode}`;
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1)?.trim().slice(0, 500) ?? "";
}

export const FAILURES = [
  ...(["crash", "timeout", "no_output", "no_verdict", "rate_limit", "auth", "config"] as const),
  ...(["permission_denied", "bad_result"] as const),
] as const;

/** Why a run failed; `null` elsewhere means that it did not. */
export type FailureClass = (typeof FAILURES)[number];

/** What one model was used for, in tokens; `input` leaves out what came from or went into a cache. */
export interface ModelUsage {
  /** Empty where the CLI does not name it: then it is the model that was asked for. */
  model: string;
  input: number;
  output: number;
  cacheRead: number;
  cacheWrite5m: number;
  cacheWrite1h: number;
  /** What the CLI says that this cost, in USD; null where it says nothing. */
  costUsd: number | null;
}

/** What a CLI printed without a terminal, and what it means. */
export interface Report {
  /** The agent's last answer; null where there is none. */
  text: string | null;
  /** The conversation, for another turn. */
  sessionRef: string | null;
  usage: readonly ModelUsage[];
  /** What the CLI says that it cost in all, in USD. */
  costUsd: number | null;
  /** Some of what it used is missing from `usage`. */
  partial?: true;
  /** `run`: the figures are of this run alone; `thread`: they count on over all turns of the conversation. */
  counts: "run" | "thread";
  /** Whether it said, made or changed anything. */
  productive: boolean;
  failure: FailureClass | null;
  /** What the CLI says of its failure, in its own words, one line. */
  reason: string | null;
  /** When a limit ends, as UTC ISO 8601. */
  retryAt: string | null;
}

/** What is asked of a CLI. */
export interface HeadlessRequest {
  prompt: string;
  /** Standing instructions that come before every prompt. */
  system: string | null;
  model: string | null;
  access: "full" | "read-only";
  allowedTools: readonly string[] | null;
  /** Go on with this conversation. */
  sessionRef: string | null;
  /** Stop when this much is spent, in USD, where the CLI can. */
  maxUsd: number | null;
}

/** What a CLI left when it ended; of a very long stream, its head and its tail. */
export interface Output {
  stdout: string;
  stderr: string;
  /** Null where a signal ended it, or where that is unknown. */
  exitCode: number | null;
  /** When it ended; "try again in 5 minutes" counts from here. */
  endedAt?: Date;
}

/** How a CLI is run without a terminal. */
export interface Headless {
  /** What the CLI can be kept from. */
  restricts: { access: boolean; tools: boolean };
  /** What is added to the CLI's command. The prompt goes to standard input unless it is among the arguments. */
  start(request: HeadlessRequest): { args: readonly string[]; stdin: string; env: Readonly<Record<string, string>> };
  /** Reads what it printed; of a run that was cut off, as far as it came. Takes any text and never throws. */
  read(output: Output): Report;
}

/**
 * What a CLI cannot keep its runs from although their role asks for it: with `refuse` they must not start. What the
 * user's own command does is the user's to know.
 */
export function unmetRestriction(
  { key, headless }: { key: string; headless?: Headless },
  { access, allowedTools }: Pick<HeadlessRequest, "access" | "allowedTools">,
): { refuse?: string; warn?: string } {
  const { restricts = { access: false, tools: false } } = headless ?? {};
  const lacks = [
    ...(access === "read-only" && !restricts.access ? ["read-only access"] : []),
    ...(allowedTools !== null && !restricts.tools ? ["allowedTools"] : []),
  ];
  if (lacks.length === 0) return {};
  const says = `has ${lacks.join(" and ")}, which ${key} cannot enforce`;
  return lacks[0] === "allowedTools" || key === "command" ? { warn: says } : { refuse: says };
}

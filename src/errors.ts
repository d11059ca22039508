/** What went wrong, in the six kinds a caller can act on. The kind fixes the exit code. */
export type FaultKind = "usage" | "missing" | "conflict" | "unavailable" | "negative" | "internal";

/** A command that makes sense now, with the reason to run it. */
export interface NextStep {
  intent: string;
  command: string;
}

export const EXIT_CODES: Readonly<Record<FaultKind, number>> = {
  negative: 1,
  internal: 1,
  usage: 2,
  missing: 3,
  conflict: 4,
  unavailable: 5,
};

/**
 * An expected failure. `code` (`noun.reason`, for example `task.already_claimed`) is the stable name that
 * scripts match on; `details` are extra fields for `--json`. Anything else that is thrown is a bug.
 */
export class Fault extends Error {
  override readonly name = "Fault";

  constructor(
    readonly kind: FaultKind,
    readonly code: string,
    message: string,
    readonly nextSteps: readonly NextStep[] = [],
    readonly details: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
  }

  get exitCode(): number {
    return EXIT_CODES[this.kind];
  }
}

/** For `.catch`: a fault of that code becomes undefined, any other error is thrown again. */
export function ignoreFault(code: string): (error: unknown) => undefined {
  return (error) => {
    if (!(error instanceof Fault) || error.code !== code) throw error;
  };
}

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

  /** What `--json` prints. */
  toJSON(): Record<string, unknown> {
    const { kind, code, message, nextSteps, exitCode, details } = this;
    return { error: kind, code, message, nextSteps, exitCode, ...details };
  }
}

/** The fault of a request whose caller no longer waits for it. */
export function interrupted(message = "Interrupted. Nothing was changed."): Fault {
  return new Fault("unavailable", "request.interrupted", message);
}

/** For `.catch`: a fault of one of these codes becomes undefined, any other error is thrown again. */
export function ignoreFault(...codes: readonly string[]): (error: unknown) => undefined {
  return (error) => {
    if (!codes.includes(asFault(error).code)) throw error;
  };
}

/** For `.catch`: any fault becomes `instead`; an error that is none is thrown again. */
export function insteadOfFault<T>(instead: T): (error: unknown) => T {
  return (error) => {
    asFault(error);
    return instead;
  };
}

/** The fault that a surface reports for any other error. */
export function bugFault(message: string): Fault {
  return new Fault("internal", "internal.bug", `Internal error (please report): ${message}`);
}

/** What was caught, if it is a fault; any other error is thrown again. */
export function asFault(error: unknown): Fault {
  if (error instanceof Fault) return error;
  throw error;
}

/** Errors of a disk and of limits, which no other name and no other text would avoid. */
const EXHAUSTED = ["ENOSPC", "EDQUOT", "EIO", "EMFILE", "ENFILE", "ENOMEM"];
/** With those of permissions: the machine is at fault, not mu. */
const OF_THE_MACHINE = new Set([...EXHAUSTED, "EROFS", "EACCES", "EPERM"]);

/** Throws an error of the disk or of a limit again, before a reader says that its file is the wrong one. */
export function throwIfExhausted(error: unknown): void {
  if (EXHAUSTED.includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
}

/** What was caught, as what a caller can act on; undefined for an error that is a bug. */
export function knownFault(error: unknown): Fault | undefined {
  if (error instanceof Fault) return error;
  const { code = "", syscall, path, message } = error as NodeJS.ErrnoException;
  if (code === "ERR_INVALID_ARG_VALUE" && message.includes("null bytes"))
    return new Fault("usage", "usage.invalid_input", "A path cannot have a NUL character in it. Name another one.");
  if (!(error instanceof Error) || syscall === undefined || !OF_THE_MACHINE.has(code)) return undefined;
  const [, reason = message] = /^\w+: ([^,]*)/.exec(message) ?? [];
  const what = path === undefined ? syscall : `${syscall} ${path}`;
  return new Fault("unavailable", "file.unavailable", `Cannot ${what}: ${reason} (${code}). Fix this, then try again.`);
}

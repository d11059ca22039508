/** One column of a table: where its text comes from, and how wide it may get on a terminal. */
export interface Column<T> {
  head: string;
  text: (row: T) => string;
  max?: number;
  align?: "right";
}

/** How operations draw for a person without knowing the terminal. */
export interface Paint {
  bold(text: string): string;
  dim(text: string): string;
  /** A task's or agent's status in its colour. */
  status(text: string): string;
  table<T>(rows: readonly T[], columns: readonly Column<T>[]): string;
  /** A table, or `none` where there are no rows. */
  list<T>(rows: readonly T[], none: string, columns: readonly Column<T>[]): string;
  /** Seconds, minutes, hours or days since `at`, such as `5m`. */
  ago(at: string | null): string;
}

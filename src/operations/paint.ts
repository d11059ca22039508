/** One column of a table. It is left out where it says nothing in any row, and cut only where the terminal is too narrow. */
export interface Column<T> {
  /** Without one in any column, the table has no line of heads. One with a capital is the table's title. */
  head: string;
  text: (row: T) => string;
  /** Wide enough: where not all fits, columns beyond this are narrowed first. */
  max?: number;
  align?: "right";
  /** What does not fit is cut in front, as the end of a path says most. */
  cut?: "front";
  /** It was asked for: it stays, empty or not. */
  always?: true;
}

/** How operations draw for a person without knowing the terminal. */
export interface Paint {
  bold(text: string): string;
  dim(text: string): string;
  /** A task's or agent's status in its colour. */
  status(text: string): string;
  /** What a person has to act on. */
  alert(text: string): string;
  /** The text, cut where the terminal has no room for it and `taken` columns more. */
  fit(text: string, taken?: number): string;
  table<T>(rows: readonly T[], columns: readonly Column<T>[]): string;
  /** A table, or `none` where there are no rows. */
  list<T>(rows: readonly T[], none: string, columns: readonly Column<T>[]): string;
  /** Seconds, minutes, hours or days since `at`, such as `5m`. */
  ago(at: string | null): string;
  /** The same, with ages counted from that moment. */
  asOf(at: string): Paint;
}

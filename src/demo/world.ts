import type { Crew } from "../agents/crew.js";
import type { Clock } from "../clock.js";
import type { Exec } from "../exec.js";

/** What the demo needs from the program that plays it. */
export interface DemoWorld {
  exec: Exec;
  clock: Clock;
  /** Of the program; only what a terminal needs of it reaches the demo. */
  env: Readonly<Record<string, string | undefined>>;
  /** Where temporary folders go. */
  temporary: string;
  /** What the panes run: node, and the files of mu and of the scripted agent. */
  programs: { node: string; mu: string; player: string };
  /** A crew on a database of its own, made where it is missing. */
  openCrew(place: CrewPlace): Promise<{ crew: Crew; close(): Promise<void> }>;
  /** A line for the person who watches. */
  tell(line: string): void;
  /** Aborted when the person ends the demo. */
  signal: AbortSignal;
}

/** Where a crew keeps its things, and all that it sees of the environment. */
export interface CrewPlace {
  database: string;
  stateDir: string;
  env: Readonly<Record<string, string>>;
}

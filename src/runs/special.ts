import type { Crew } from "../agents/crew.js";
import type { ProjectSettings } from "../project/settings.js";
import type { TaskToChange } from "../tasks/change.js";
import type { Judged } from "./judge.js";
import type { RunRow } from "./run.js";

/** What it takes to carry out a run. */
export interface RunWorld extends Crew {
  /** The project's settings, and `env` with what its `.env` adds. Faults `settings.invalid`. */
  project(): Promise<{ settings: ProjectSettings; env: RunWorld["env"] }>;
  signal: AbortSignal;
  /** Shows what the agent prints, as it comes. */
  echo(chunk: Uint8Array): void;
  /** Loads what the tasks of jobs need. */
  special(): Promise<Special>;
}

/** A run of a task that is a part of something larger, such as a step of a job. */
export interface SpecialRun {
  world: RunWorld;
  run: RunRow;
  task: TaskToChange;
  settings: ProjectSettings;
  /** The project's folder. */
  root: string;
}

/** What is different about such runs; implemented by rooms above this one. */
export interface Special {
  /** Where the run works, and what its agent is told. Called again for every attempt. */
  begin(about: SpecialRun): Promise<{ cwd: string; prompt: string; system: string | null }>;
  /** Looks at what the agent says that it has done; `refused` is what it is told where that does not count. */
  judge(about: SpecialRun, cwd: string, judged: Judged): Promise<{ judged: Judged } | { refused: string; why: string }>;
  /** After the run was settled, by this process or another. Called as often as anybody likes. */
  after(about: Omit<SpecialRun, "task" | "settings">): Promise<void>;
  /** Does what `after` would have done for the runs of a workstream, by name, where nobody came to it. */
  catchUp(crew: Crew, workstream: string): Promise<void>;
}

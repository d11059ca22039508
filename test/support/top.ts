import type { BoardTask } from "../../src/tasks/board.js";
import type { CrewAgent, Data } from "../../src/top/data.js";
import { type Model, press, type Seen, START, type Step } from "../../src/top/model.js";

export const NOW = Date.parse("2026-05-01T12:00:00Z");

export const agent = (name: string, more: Partial<CrewAgent> = {}): CrewAgent => ({
  ...{
    name,
    cli: "claude",
    role: null,
    status: "idle",
    statusReason: null,
    tasks: [],
    idleAssigned: false,
    pane: "%1",
  },
  ...{ statusSince: new Date(NOW - 3 * 60_000).toISOString(), workspace: undefined, conflicts: [], costUsd: null },
  ...more,
});

export const task = (name: string, more: Partial<BoardTask> = {}): BoardTask => ({
  ...{
    name,
    title: `Do ${name}`,
    kind: "task",
    status: "OPEN",
    level: null,
    role: null,
    owner: null,
    hold: null,
    priority: 5,
  },
  ...{ ready: true, blockers: [], waitsFor: [], updatedAt: new Date(NOW).toISOString() },
  ...more,
});

export const dataOf = (more: Partial<Data> = {}): Data => ({
  ...{
    workstream: "shop",
    under: null,
    now: NOW,
    agents: [],
    inbox: [],
    collisions: [],
    tasks: [],
    critical: [],
    landings: [],
  },
  counts: { ready: 0, blocked: 0, held: 0, waiting: 0, inProgress: 0, open: 0 },
  ...{ spent: { usd: 0, isSure: true }, budget: null, log: [] },
  ...more,
});

/** The steps of so many keys, one after another; a text in quotes is pasted. */
export function pressed(keys: readonly string[], data: Data, from: Model = START, more: Partial<Seen> = {}): Step[] {
  const seen: Seen = { data, height: 10, rowAt: () => undefined, frozen: false, ...more };
  const steps: Step[] = [];
  for (const name of keys) {
    const key = name.startsWith('"') ? { name: "paste" as const, text: name.slice(1, -1) } : { name };
    steps.push(press(steps.at(-1)?.model ?? from, seen, key));
  }
  return steps;
}

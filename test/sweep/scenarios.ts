import { loadOperations } from "../../src/operations/index.js";
import { projectFor } from "../support/seeded.js";

/** A writing verb and a line of it that writes, on the seeded project. */
export interface Scenario {
  verb: string;
  /** Lines that come first, so that there is something to do. */
  before: readonly string[];
  words: string;
  project: ReturnType<typeof projectFor>;
}

/** Lines for verbs of which the first working example only looks, or waits for a person. */
const LINES: Readonly<Record<string, string>> = {
  "agent.reap-idle": "agent reap-idle",
  "archive.add": "archive add releases",
  "archive.delete": "archive delete old --yes",
  doctor: "doctor --fix",
  "job.delete": "job delete theme --yes",
  "job.modules": "job modules theme --none",
  "job.push": "job push --yes",
  "pricing.update": "pricing update --from prices.json",
  recover: "recover --yes",
  "skill.install": "skill install --cli claude",
  "snapshot.delete": "snapshot delete 5eed --yes",
  "snapshot.prune": "snapshot prune --all --yes",
  "snapshot.restore": "snapshot restore kept.db --yes",
  sql: `sql --write "update tasks set impact = 60 where name = 'build'" --confirm-rows 1`,
  sync: "sync --dir .",
  "task.delete": "task delete build --yes",
  "task.work": "task work docs --agent helper --until-green --check true --timeout 1s",
  "tmux.install": "tmux install",
  "tmux.uninstall": "tmux uninstall",
  undo: "undo --yes",
  "workspace.orphans": "workspace orphans --yes",
  "workspace.setup": "workspace setup --copy .env --ports 2",
  "workstream.destroy": "workstream destroy demo --yes",
};

const BEFORE: Readonly<Record<string, readonly string[]>> = {
  "archive.add": ["archive create releases"],
  "hooks.uninstall": ["hooks install --cli claude"],
  "task.release": ["task claim build"],
  "tmux.uninstall": ["tmux install"],
  resume: ["kill stop"],
  thaw: ["freeze 'look at the bill'"],
};

/** Verbs that are not swept, each with the reason. */
export const LEFT_OUT: Readonly<Record<string, string>> = {
  "db.upgrade": "the fixture is of this version; test/db kills upgrades",
  demo: "plays for 20 s on a tmux of its own",
  "dispatch.install": "changes the machine's service manager",
  "dispatch.uninstall": "changes the machine's service manager",
  "linear.export": "needs a server beside it",
  "linear.import": "needs a server beside it",
  "notify.test": "sends to the outside",
  operator: "is a conversation",
  ops: "serves requests until its input ends",
  route: "asks a model",
  run: "asks a model",
  "task.edit": "is typed by a person in an editor",
};

/** One scenario for every writing verb that there is. */
export async function scenarios(): Promise<Scenario[]> {
  const operations = await loadOperations();
  return operations.flatMap((operation) => {
    if (operation.effect === "read" || LEFT_OUT[operation.name] !== undefined) return [];
    const example = operation.examples.find(({ fault }) => fault === undefined)?.command ?? "";
    const words = LINES[operation.name] ?? example.replace(/^mu /, "");
    const before = BEFORE[operation.name] ?? [];
    return [{ verb: operation.name, before, words, project: projectFor(operation.name) }];
  });
}

import { Fault } from "../errors.js";
import { counted } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import type { App } from "./app.js";
import { defineOperation } from "./operation.js";

const CHECK = shape({ name: "string", verdict: ["ok", "warning", "error"], says: "string" });

type Check = TypeOf<typeof CHECK>;

const MARKS = { ok: "✓", warning: "!", error: "✗" };

export const doctor = defineOperation({
  name: "doctor",
  summary: "Check mu's prerequisites: the database, tmux, and who you are",
  description: "Exits 1 if something is wrong. The lines below tmux list the features that mu can use here.",
  effect: "read",
  output: { checks: [CHECK], features: { "*": "boolean" } },
  examples: [
    { command: "mu doctor", shows: "all prerequisites" },
    { command: "mu doctor --fix", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  async run(app) {
    const tmux = await checkTmux(app);
    return { checks: [await checkDatabase(app), tmux.check, checkCaller(app)], features: tmux.features };
  },
  render: ({ checks, features }, paint) =>
    checks
      .flatMap(({ name, verdict, says }) => [
        `${MARKS[verdict]} ${paint.bold(name)}  ${says}`,
        ...Object.entries(name === "tmux" ? features : {}).map(([feature, there]) =>
          paint.dim(`    ${there ? "has" : "lacks"} ${feature}`),
        ),
      ])
      .join("\n"),
  exitCode: ({ checks }) => (checks.some((check) => check.verdict === "error") ? 1 : 0),
});

async function checkDatabase({ context: { store } }: App): Promise<Check> {
  const { rows } = await store.query("select count(*) as n from tasks");
  return {
    name: "database",
    verdict: "ok",
    says: `${store.location} (${store.dialect}), ${counted(Number(rows[0]?.["n"]), "task")}`,
  };
}

async function checkTmux(app: App): Promise<{ check: Check; features: Record<string, boolean> }> {
  try {
    const { tmux } = await app.crew();
    const { version, supported, features } = await tmux.probe();
    const panes = await tmux.listPanes();
    const says = `${version}, ${counted(panes.length, "pane")}${supported ? "" : "; mu needs 3.2 or newer"}`;
    return { check: { name: "tmux", verdict: supported ? "ok" : "error", says }, features: { ...features } };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { check: { name: "tmux", verdict: "warning", says: error.message }, features: {} };
  }
}

function checkCaller({ caller }: App): Check {
  if (caller.refusal !== null) return { name: "you", verdict: "warning", says: caller.refusal.message };
  return { name: "you", verdict: "ok", says: `${caller.name}, ${caller.kind === "agent" ? "an agent" : "a person"}` };
}

import { LISTED_WORKSTREAM, type ListedWorkstream, listCrewSessions } from "../../crew/workstream.js";
import { defineOperation, listed, listOf, type Paint } from "../define.js";

export const workstreamList = defineOperation({
  name: "workstream.list",
  summary: "List workstreams and whether their tmux sessions run",
  description: "strays are sessions named mu-… that belong to no workstream of this database.",
  effect: "read",
  output: { ...listOf(LISTED_WORKSTREAM), strays: "string[]" },
  examples: [
    { command: "mu workstream list", shows: "every workstream" },
    { command: "mu workstream list --all", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  async run(app) {
    const { items, strays } = await listCrewSessions(await app.crew());
    return { ...listed(items), strays };
  },
  render: ({ items, strays }, paint) => [
    table(items, paint),
    strays.map((name) => `Session ${name} belongs to no workstream of this database.`),
  ],
});

function table(items: readonly ListedWorkstream[], paint: Paint): string {
  return paint.list(items, "No workstreams yet.", [
    { head: "name", text: (row) => row.name },
    { head: "open", text: (row) => String(row.open), align: "right" },
    { head: "tasks", text: (row) => String(row.tasks), align: "right" },
    { head: "edges", text: (row) => String(row.edges), align: "right" },
    { head: "notes", text: (row) => String(row.notes), align: "right" },
    { head: "agents", text: (row) => String(row.agents), align: "right" },
    { head: "session", text: (row) => (row.sessionAlive ? row.session : "—") },
    { head: "root", text: (row) => row.root ?? "—", max: 20, cut: "front" },
  ]);
}

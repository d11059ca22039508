import { timestamp } from "../../db/context.js";
import { listTracks, TRACK, type Track } from "../../tracks.js";
import { defineOperation, listed, listOf, type Paint } from "../define.js";
import { underField, workstreamField } from "../fields.js";

export const trackList = defineOperation({
  name: "track.list",
  summary: "Show which tracks of work can run in parallel",
  description:
    "Goals that share an unfinished task form one track, so that two agents never work on the same thing. As many agents as there are tracks with ready tasks never wait for each other. The critical path is the longest chain, in days. waitsFor lists closed tasks that block the track until they are verified or landed.",
  effect: "read",
  input: () => ({ workstream: workstreamField(), under: underField() }),
  output: listOf(TRACK),
  examples: [
    { command: "mu track list", shows: "the tracks of this workstream" },
    { command: "mu track list --under deploy", shows: "only what deploy is made of" },
    { command: "mu track list -w nothing", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  async run(app, { workstream: scope, under }) {
    return listed(await listTracks(app.context.store.db, scope, timestamp(app.context.clock), under));
  },
  render: ({ items }, paint) => trackTable(items, paint),
});

/** The tracks as a table, or a line that says there are none. */
export function trackTable(tracks: readonly Track[], paint: Paint, head = "goals"): string {
  return paint.list(tracks, "No open work.", [
    { head, text: (track) => track.goals.join(", "), max: 24 },
    { head: "tasks", text: (track) => String(track.size), align: "right" },
    { head: "ready", text: (track) => String(track.ready.length), align: "right" },
    { head: "days", text: (track) => String(Math.round(track.criticalPath.days * 100) / 100), align: "right" },
    { head: "owners", text: (track) => track.owners.join(", ") || "—", max: 16 },
    { head: "next", text: nextOf, max: 24 },
  ]);
}

/** What can be started, or what has to be verified or landed before anything can. */
function nextOf({ ready, waitsFor, owners }: Track): string {
  if (ready[0] !== undefined) return ready[0];
  return waitsFor.length > 0 && owners.length === 0 ? `waits for ${waitsFor.join(", ")}` : "—";
}

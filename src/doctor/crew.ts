import { isMarkedFor, listMembers, type Member } from "../agents/agent.js";
import { identityOf, isOwnPane, locate } from "../agents/pane.js";
import { findOrphans } from "../crew/adopt.js";
import { reconcile } from "../crew/reconcile.js";
import { planRecovery } from "../crew/recover.js";
import { counted, qualifiedName } from "../names.js";
import type { Pane } from "../tmux/panes.js";
import { FIX_STEP, type Fix, type Found, type Patient, type Probe } from "./finding.js";

/** The database against tmux. */
export const CREW: readonly Probe[] = [{ name: "crew", needs: "database", run: probeCrew }];

/** Does what any read of agents does by itself. */
export const RECONCILE: Fix = {
  key: "reconcile",
  async run({ crew }) {
    const { reaped, workspaces, deliveries, stale } = await reconcile(crew);
    if (stale) return "The database was busy, or tmux was out of reach: nothing was reconciled.";
    const done = [
      ...reaped.map((one) => `closed ${one.workstream}/${one.agent}`),
      ...workspaces.map((one) => `${one.action} the workspace of ${one.workstream}/${one.agent}`),
      ...(deliveries.length > 0 ? [`settled ${counted(deliveries.length, "prompt")}`] : []),
    ];
    return `Reconciled: ${done.join(", ") || "ended what was interrupted"}.`;
  },
};

export const RECONCILE_STEP = { intent: "Make the database agree with tmux", command: "mu reconcile" };

async function probeCrew({ crew }: Patient): Promise<Found[]> {
  const members = await listMembers(crew.context.store.db);
  const panes = await crew.tmux.listPanes();
  const { reaped, agents } = await reconcile(crew, undefined, { report: true });
  const ghosts = reaped.map(({ workstream, agent, reason }): Found => {
    const subject = `${workstream}/${agent}`;
    return { severity: "warning", subject, detail: `${reason}.`, step: RECONCILE_STEP, fix: RECONCILE };
  });
  const isGhost = (subject: string) => ghosts.some((one) => one.subject === subject);
  const dead = agents.flatMap(({ workstream, agent, status, reason }): Found[] => {
    const subject = `${workstream}/${agent}`;
    if (status !== "terminated" || isGhost(subject)) return [];
    const step = { intent: "Start it again", command: `mu agent restart ${subject}` };
    return [{ severity: "warning", subject, detail: `its CLI has ended: ${reason}.`, step }];
  });
  const strays = (await findOrphans(crew, members, panes)).map(({ pane, workstream, cli }): Found => {
    const name = `${cli}-${pane.slice(1)}`;
    const step = { intent: "Adopt it", command: `mu agent adopt ${pane} --name ${name} -w ${workstream}` };
    return { severity: "warning", subject: `pane ${pane}`, detail: `${cli} runs in ${workstream} as no agent.`, step };
  });
  const all = [...ghosts, ...dead, ...strays, ...(await drift(crew, members, panes)), ...(await lostCrew(crew))];
  return all.length > 0 ? all : [{ severity: "ok", subject: "crew", detail: counted(members.length, "open agent") }];
}

/** Panes that have lost their marks, or have the title of another agent; agents that cannot be seen from here. */
async function drift(crew: Patient["crew"], members: readonly Member[], panes: readonly Pane[]): Promise<Found[]> {
  const places = await locate(crew, members, panes);
  return members.flatMap(({ row, workstream }): Found[] => {
    const subject = `${workstream}/${row.name}`;
    const place = places.get(row.id);
    if (place?.at === "elsewhere") return [{ severity: "note", subject, detail: `${place.why}.` }];
    if (place?.at !== "pane" || place.pane.dead || !isOwnPane(row, place.pane)) return [];
    const { id, title } = place.pane;
    const isAnothers = title !== row.name && members.some((one) => one.row.name === title);
    if (isMarkedFor(row, place.pane) && !isAnothers) return [];
    const detail = isAnothers ? `its pane ${id} has the title ${title}.` : `its pane ${id} has lost its mark.`;
    const run = async () =>
      crew.tmux.setPaneIdentity(id, identityOf(row)).then(() => `Marked pane ${id} as ${subject} again.`);
    return [{ severity: "warning", subject, detail, step: FIX_STEP, fix: { key: `pane ${id}`, run } }];
  });
}

/** Agents that went with their tmux server and that nobody has called back. */
async function lostCrew(crew: Patient["crew"]): Promise<Found[]> {
  const plans = await planRecovery(crew);
  const step = { intent: "Call back the crew of the lost server", command: "mu recover --yes" };
  return plans.flatMap(({ workstream, agent: name, database, action, why }): Found[] => {
    if (database !== "reaped" || (action !== "resume" && action !== "fresh")) return [];
    const detail = `lost its pane with its tmux server; it can be called back: ${why}.`;
    return [{ severity: "note", subject: qualifiedName({ workstream, name }), detail, step }];
  });
}

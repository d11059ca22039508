import * as z from "zod";
import { localTime } from "../../clock.js";
import { FROZEN, freezeCrew, thawCrew } from "../../crew/freeze.js";
import { putBrakeOn, takeBrakeOff } from "../../dispatch/brake.js";
import { brakeReason, frozenReason, frozenSince } from "../../dispatch/facts.js";
import { counted } from "../../names.js";
import { defineOperation, step } from "../define.js";
import { field, workstreamField } from "../fields.js";
import { sceneOf } from "./world.js";

export const freeze = defineOperation({
  name: "freeze",
  summary: "Stop every agent of a workstream where it stands",
  description:
    "Puts the brake on, then stops the processes of agents and runs by SIGSTOP. An agent CLI that is the first process of its pane cannot be stopped under tmux: its turn is ended instead, as by Esc, and its conversation is kept. A stopped run's timeout stands still. mu thaw goes on.",
  effect: "write",
  acts: ["ends"],
  repeatable: true,
  input: () => ({
    reason: field(z.string().trim().min(1).max(500).optional(), "Why, for those who find it"),
    workstream: workstreamField(),
  }),
  output: { agents: [FROZEN] },
  positional: ["reason"],
  examples: [
    { command: "mu freeze 'look at the bill'", shows: "everything stands still" },
    { command: "mu freeze -w nowhere", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  async run(app, { reason, workstream }) {
    const scene = await sceneOf(app, workstream);
    const crew = await app.crew();
    const since = app.context.clock.now().toISOString();
    await putBrakeOn(crew, scene, frozenReason(since, reason));
    return { agents: await freezeCrew(crew, scene.workstream, reason ?? "") };
  },
  next: (_, { workstream }) => [step("Go on", `mu thaw -w ${workstream}`)],
  render: ({ agents }, paint) => [
    `${paint.bold("Frozen.")} Nothing starts until mu thaw.`,
    paint.list(agents, "No agent is at work.", [
      { head: "agent", text: ({ agent }) => paint.bold(agent), max: 24 },
      { head: "how", text: ({ as }) => HOW[as], max: 44 },
      { head: "processes", text: ({ processes }) => String(processes), align: "right" },
    ]),
  ],
});

const HOW = {
  stopped: "stopped",
  interrupted: "turn ended, as by Esc",
  idle: "was idle",
  spared: "is the caller, goes on",
} as const;

export const thaw = defineOperation({
  name: "thaw",
  summary: "Continue what mu freeze stopped",
  description:
    "Continues all stopped processes, tells the agents that hold tasks that time has passed, and takes the brake off if a freeze put it on.",
  effect: "write",
  repeatable: true,
  input: () => ({ workstream: workstreamField() }),
  output: { agents: "string[]", stillOn: "string | null" },
  examples: [
    { command: "mu thaw", shows: "all go on" },
    { command: "mu thaw -w nowhere", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  async run(app, { workstream }) {
    const scene = await sceneOf(app, workstream);
    const crew = await app.crew();
    const since = frozenSince(brakeReason(scene));
    const agents = await thawCrew(crew, scene.workstream, since === undefined ? null : localTime(since));
    // Where the brake is off already, a thaw that was killed may have left that out of the log.
    if (since !== undefined || brakeReason(scene) === null) await takeBrakeOff(crew, scene);
    return { agents, stillOn: brakeReason(scene) };
  },
  next: ({ stillOn }, { workstream }) =>
    stillOn === null ? [] : [step("Take the brake off", `mu resume -w ${workstream}`)],
  render: ({ agents, stillOn }) => [
    agents.length === 0 ? "Nothing stood still." : `${counted(agents.length, "agent")} went on: ${agents.join(", ")}`,
    stillOn !== null && `The brake is on: ${stillOn}`,
  ],
});

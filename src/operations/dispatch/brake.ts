import * as z from "zod";
import { putBrakeOn, takeBrakeOff } from "../../dispatch/brake.js";
import { brakeReason, frozenSince } from "../../dispatch/facts.js";
import { defineOperation, step } from "../define.js";
import { field, flag, workstreamField } from "../fields.js";
import { sceneOf } from "./world.js";

const everywhere = () => flag("For every workstream of this machine");
const reachOf = (machine: boolean) => (machine ? "machine" : "project");

export const kill = defineOperation({
  name: "kill",
  summary: "Put the brake on: start no more runs",
  description:
    "Writes the file .mu/kill_switch in the project folder; creating that file by hand does the same, and deleting it releases the brake. Runs that are under way finish. A brake that is on keeps its reason.",
  effect: "write",
  repeatable: true,
  input: () => ({
    reason: field(z.string().trim().min(1).max(500).default("stopped by hand"), "Why, for those who find it on"),
    workstream: workstreamField(),
    machine: everywhere(),
  }),
  output: { reason: "string", changed: "boolean" },
  positional: ["reason"],
  examples: [
    { command: "mu kill 'deploy in progress'", shows: "nothing starts until mu resume" },
    { command: "mu kill -w nowhere", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  async run(app, { reason, workstream, machine }) {
    const scene = await sceneOf(app, workstream);
    const changed = await putBrakeOn(await app.crew(), scene, reason, reachOf(machine));
    return { reason: brakeReason(scene) ?? reason, changed };
  },
  next: (_, { workstream }) => [
    step("Take it off", `mu resume -w ${workstream}`),
    step("See what still runs", `mu runs list --state active -w ${workstream}`),
  ],
  render: ({ reason, changed }, paint) =>
    changed ? `${paint.bold("The brake is on")}: ${reason}` : `The brake was on already: ${reason}`,
});

export const resume = defineOperation({
  name: "resume",
  summary: "Take the brake off",
  effect: "write",
  repeatable: true,
  input: () => ({ workstream: workstreamField(), machine: everywhere() }),
  output: {
    changed: "boolean",
    stillOn: "string | null",
    /** A freeze had put it on: the agents stand still until `mu thaw`. */
    frozen: "boolean",
  },
  examples: [
    { command: "mu resume", shows: "runs start again" },
    { command: "mu resume -w nowhere", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  async run(app, { workstream, machine }) {
    const scene = await sceneOf(app, workstream);
    const frozen = frozenSince(brakeReason(scene)) !== undefined;
    const changed = await takeBrakeOff(await app.crew(), scene, reachOf(machine));
    return { changed, stillOn: brakeReason(scene), frozen };
  },
  next: ({ stillOn, frozen }, { workstream, machine }) => {
    const thaw = frozen ? [step("Continue the stopped agents", `mu thaw -w ${workstream}`)] : [];
    if (stillOn === null) return [...thaw, step("Run what is ready", `mu dispatch --once -w ${workstream}`)];
    if (frozenSince(stillOn) !== undefined) return thaw;
    const other = machine ? `mu resume -w ${workstream}` : `mu resume --machine -w ${workstream}`;
    return [...thaw, step("Take the other one off", other)];
  },
  render: ({ changed, stillOn, frozen }) => [
    changed ? "The brake is off." : "The brake was not on.",
    frozen && "The agents that mu freeze stopped still stand.",
    stillOn !== null && `Another brake is on: ${stillOn}`,
  ],
});

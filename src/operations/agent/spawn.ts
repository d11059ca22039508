import { AGENT } from "../../agents/agent.js";
import { SPAWN_WORKSPACE, spawnAgent } from "../../crew/spawn.js";
import { READINESS } from "../../crew/start.js";
import { qualifiedName } from "../../names.js";
import { defineOperation, step } from "../define.js";
import { agentField, workstreamField } from "../fields.js";
import { spawnFields, spawnOptions } from "./fields.js";

export const agentSpawn = defineOperation({
  name: "agent.spawn",
  summary: "Start an agent in its own pane",
  description:
    "The pane runs the agent's command and carries its identity. If the command dies at once, mu exits 5, prints its last lines and leaves nothing behind. MU_<CLI>_COMMAND overrides a CLI's command.",
  effect: "write",
  acts: ["runs"],
  input: () => ({
    name: agentField("Agent name, such as worker-1"),
    workstream: workstreamField(),
    ...spawnFields(),
  }),
  output: { agent: AGENT, readiness: [READINESS, null], workspace: [SPAWN_WORKSPACE, null] },
  positional: ["name"],
  examples: [
    { command: "mu agent spawn worker-1 --cli shell --no-ready", shows: "a shell as an agent" },
    { command: "mu agent spawn worker-1 --cli shell --workspace --no-ready", shows: "in a checkout of its own" },
    {
      command: "mu agent spawn worker-9 --command no-such-program-here",
      shows: "a program that is not installed",
      fault: "agent.command_not_found",
    },
    {
      command: "mu agent spawn worker-9 --role read-only",
      shows: "a role that is really an access level",
      fault: "usage.role_is_access",
    },
  ],
  async run(app, { name: ref, workstream: _, ...wishes }) {
    return spawnAgent(await app.crew(), ref, await spawnOptions(app, ref.workstream, wishes));
  },
  next({ agent }) {
    const at = qualifiedName(agent);
    return [
      step("Send it a prompt", `mu agent send ${at} 'Run mu task claim --next and do it'`),
      step("Show it", `mu agent attach ${at}`),
      step("List the agents", `mu agent list -w ${agent.workstream}`),
    ];
  },
  render: ({ agent, readiness, workspace }, paint) => [
    `Spawned ${paint.bold(agent.name)} (${agent.cli}) in ${agent.workstream}, pane ${agent.pane}${readiness ? `: ${readiness.ready ? readiness.status : `not ready yet, ${readiness.reason}`}` : ""}`,
    workspace && `  in its workspace${workspace.reused ? ", which was there already" : ""}: ${workspace.path}`,
  ],
});

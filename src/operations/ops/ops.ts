import { Fault } from "../../errors.js";
import { defineOperation } from "../define.js";
import { flag, optionalText } from "../fields.js";
import { OPS_SCHEMA, type OpsResult, opsResult, sorted } from "./contract.js";

export const ops = defineOperation({
  name: "ops",
  summary: "Answer one request of a program, as JSON on standard input and output",
  description: `The request and the result are of the schema ${OPS_SCHEMA}, which mu schema ops prints. Actions are status, enqueue, list_workspaces, select_workspace, list_sessions, inspect_session, and every verb of mu as noun.verb. Verbs that destroy need options.yes, and those that speak to the outside are refused. A request with an idempotency_key is answered once. Exits 1 where the status is failed; blocked and incomplete exit 0.`,
  effect: "write",
  acts: ["runs", "ends"],
  outward: true,
  standalone: true,
  endsLate: true,
  needs: ["stdin"],
  input: () => ({
    streamJson: flag("Reserved: answers that this transport is not supported"),
    experimental: flag("With --stream-json: print what happens as it does, a line each"),
    workspace: optionalText("Project folder or workstream of requests that name none", { value: "folder" }),
  }),
  output: opsResult,
  examples: [
    { command: "mu ops --json", shows: "the answer to a request" },
    { command: "mu ops --port 80", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  async run({ program, request }, { streamJson, workspace }) {
    if (!streamJson && request.json !== true) throw noFormat();
    return program.answerOps(request, { workspace, transport: streamJson ? "unsupported" : "json" });
  },
  follow: ({ program, request }, { streamJson, experimental, workspace }) =>
    streamJson && experimental ? program.streamOps(request, { workspace }) : undefined,
  json: (result) => JSON.stringify(sorted(result), null, 2),
  render: (result) => JSON.stringify(sorted(result), null, 2),
  exitCode: ({ status }: OpsResult) => (status === "failed" ? 1 : 0),
});

function noFormat(): Fault {
  return new Fault("usage", "ops.no_format", "Say how to answer: --json, or --stream-json.", [
    { intent: "Answer a request", command: "mu ops --json" },
  ]);
}

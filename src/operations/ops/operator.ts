import { join } from "node:path";
import { asFault } from "../../errors.js";
import { handleRequest, type RequestResult } from "../../jobs/intake/request.js";
import { readStatus } from "../../jobs/intake/status.js";
import { defineOperation } from "../define.js";
import { placeOf, type RequestInput, requestFields, requestWish, turnWish } from "./run.js";
import { requestWorld } from "./world.js";

const BANNER = "The operator is ready. Type /help for help, /exit to leave.";
const HELP = [
  "Type what you want done, a request a line. One conversation goes on through all of them.",
  "  /status  how the work of this workstream stands",
  "  /help    this",
  "  /exit    leave; /quit and the end of the input do as well",
].join("\n");

/** One answer, as a line for programs. */
type Said = { text: string } & Partial<RequestResult>;

export const operator = defineOperation({
  name: "operator",
  summary: "Talk to an operator who does requests or delegates them",
  description:
    "One conversation with pi stays open for all that you type. A conversation that dies is said, and the next request begins another one.",
  effect: "write",
  acts: ["runs"],
  outward: true,
  endsLate: true,
  needs: ["stdin"],
  input: requestFields,
  output: { requests: "number" },
  examples: [
    { command: "mu operator", shows: "a conversation, until /exit" },
    { command: "mu operator --route sideways", shows: "an unknown route", fault: "usage.invalid_input" },
  ],
  run: async () => ({ requests: 0 }),
  async *follow(app, input): AsyncGenerator<Said> {
    const { workstream, cwd } = await placeOf(app, input as RequestInput);
    const world = await requestWorld(app, workstream, await turnWish(app, input as RequestInput, cwd));
    const { signal, remark } = app.request;
    remark(BANNER);
    const history = join(world.crew.stateDir, "operator-history");
    try {
      for await (const line of app.program.readLines({ prompt: "mu> ", history, signal })) {
        const text = line.trim();
        if (text === "") continue;
        if (text === "/exit" || text === "/quit") break;
        if (text === "/help") yield { text: HELP };
        else if (text === "/status") yield { text: statusText(await readStatus(world.crew, workstream)) };
        else if (/^\/\w+$/.test(text)) yield { text: `There is no ${text}. Type /help.` };
        else {
          try {
            const result = await handleRequest(world, { ...requestWish(input as RequestInput), text });
            for (const warning of result.warnings) remark(`warning: ${warning}`);
            yield { text: result.output, ...result };
          } catch (error) {
            if (signal.aborted) throw error;
            remark(`${asFault(error).message}\nThe next request begins a new conversation.`);
          }
        }
      }
    } finally {
      await world.end();
    }
  },
  renderFollowed: ({ text }: Said) => text,
});

const statusText = (status: Awaited<ReturnType<typeof readStatus>>) =>
  [
    `${status.workspace}: ${status.process_running ? "a dispatcher runs" : "no dispatcher runs"}`,
    `${status.active_run_count} at work, ${status.execution_queue_depth + status.planning_queue_depth} queued`,
    status.current_failure_class === null ? "nothing waits for you" : `waits for you: ${status.current_failure_class}`,
  ].join(", ");

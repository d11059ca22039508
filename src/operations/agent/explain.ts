import { resolve } from "node:path";
import * as z from "zod";
import { explainAgent, explainCapture, saveCapture } from "../../agents/status/explain.js";
import { localTime } from "../../clock.js";
import { Fault } from "../../errors.js";
import { defineOperation } from "../define.js";
import { agentField, field, flag, optionalText, workstreamField } from "../fields.js";
import { CLI_KEYS } from "./shapes.js";

export const agentExplain = defineOperation({
  name: "agent.explain",
  summary: "Explain an agent's status",
  description:
    "Shows the rule, the screen lines, the hook and their age. --save writes the screen to <name>.txt, .ansi and .meta, to report a wrong status; --from explains such a file without an agent or tmux.",
  effect: "read",
  input: () => ({
    agent: agentField("Agent (omit with --from)").optional(),
    workstream: workstreamField("any"),
    history: flag("Include past statuses"),
    limit: field(z.number().int().min(1).max(500).default(20), "Maximum number of past statuses", { short: "n" }),
    save: optionalText("Save the screen under this name", { value: "file" }),
    from: optionalText("Explain a saved screen", { value: "capture" }),
    cli: field(z.enum(CLI_KEYS).optional(), "CLI of the saved screen, with --from"),
  }),
  output: () =>
    z.looseObject({
      status: z.string(),
      reason: z.string().nullable(),
      rule: z.string().nullable(),
      evidence: z.array(z.string()),
      saved: z.array(z.string()).optional(),
    }),
  positional: ["agent"],
  examples: [
    { command: "mu agent explain helper", shows: "the rule and the lines behind its status" },
    {
      command: "mu agent explain --from screen.txt --cli claude --json",
      shows: "a missing file",
      fault: "capture.not_found",
    },
    { command: "mu agent explain nobody", shows: "an unknown agent", fault: "agent.not_found" },
  ],
  async run(app, { agent: ref, history, limit, save, from, cli }) {
    if (from !== undefined) {
      if (cli === undefined) throw missing("No CLI given. Name the CLI of the screen with --cli.");
      const { status, reason, rule, evidence } = await explainCapture(resolve(app.request.cwd, from), cli);
      return { status, reason, rule, evidence };
    }
    if (ref === undefined) throw missing("No agent given. Name one, or pass --from.");
    const crew = await app.crew();
    const explained = await explainAgent(crew, ref, history ? { history: limit } : {});
    return {
      ...explained,
      ...(save !== undefined && { saved: await saveCapture(crew, ref, resolve(app.request.cwd, save)) }),
    };
  },
  render: (found, paint) => {
    const { by, ageMs, hook, hookAgeMs, history } = found as Partial<Awaited<ReturnType<typeof explainAgent>>>;
    const seconds = (ms: number | null | undefined) => Math.round((ms ?? 0) / 1000);
    return [
      `${paint.bold(found.status)}${found.reason ? `: ${found.reason}` : ""}`,
      `  rule ${found.rule ?? "—"}${by ? `, decided by ${by}, for ${seconds(ageMs)} s` : ""}`,
      found.evidence.map((line) => paint.dim(`  │ ${line}`)),
      hook && `  newest hook ${hook.event}, ${seconds(hookAgeMs)} s ago`,
      history?.map((past) => paint.dim(`  ${localTime(past.at)}  ${past.status}  ${past.reason ?? ""}`)),
      found.saved && `Saved ${found.saved.join(", ")}`,
    ];
  },
});

const missing = (message: string) => new Fault("usage", "usage.missing_argument", message);

import { timestamp } from "../db/context.js";
import { REPORT, readReport, reportText, writeReport } from "../dispatch/report.js";
import { dayOf } from "../runs/spend.js";
import { defineOperation, step } from "./define.js";
import { sceneOf } from "./dispatch/world.js";
import { dayField, workstreamField } from "./fields.js";

export const report = defineOperation({
  name: "report",
  summary: "Report a day: what shipped, what waits for you, what it cost",
  description:
    "A UTC day at a time. Prints Markdown and writes it over the day's file, morning-report-YYYYMMDD.md in the folder paths.reports. The dispatcher writes it every six hours (dispatch.reportHours).",
  effect: "write",
  journalled: false,
  repeatable: true,
  input: () => ({
    workstream: workstreamField(),
    date: dayField("UTC day (default: today)"),
  }),
  output: { ...REPORT, path: "string | null", text: "string" },
  examples: [
    { command: "mu report", shows: "today so far" },
    { command: "mu report --date 9999-12-31", shows: "a day that has not begun", fault: "report.future" },
    { command: "mu report --date yesterday", shows: "not a date", fault: "usage.invalid_input" },
  ],
  async run(app, { workstream, date = dayOf(timestamp(app.context.clock)) }) {
    const scene = await sceneOf(app, workstream);
    const found = await readReport(await app.crew(), scene, date);
    return { ...found, path: await writeReport(scene, found), text: reportText(found, scene.settings.projectName) };
  },
  next: ({ escalations, failed }, { workstream }) =>
    escalations.length + failed.length > 0 ? [step("See what waits for you", `mu escalations -w ${workstream}`)] : [],
  render: ({ text, path }, paint) => [text.trimEnd(), path !== null && `\n${paint.dim(path)}`],
});

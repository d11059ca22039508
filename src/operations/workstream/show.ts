import { localTime } from "../../clock.js";
import { asFault } from "../../errors.js";
import { counted } from "../../names.js";
import { listProjectSettings, projectEnv } from "../../project/read.js";
import { SETTING_VALUE, type SettingValue, settingText } from "../../workstreams/settings.js";
import { listSettings, showWorkstream, WORKSTREAM_SUMMARY } from "../../workstreams/workstream.js";
import { type App, defineOperation } from "../define.js";
import { namedWorkstreamField, workstreamField } from "../fields.js";

export const workstreamShow = defineOperation({
  name: "workstream.show",
  summary: "Show a workstream, and each setting with where its value comes from",
  effect: "read",
  input: () => ({ name: namedWorkstreamField(), workstream: workstreamField() }),
  output: { workstream: WORKSTREAM_SUMMARY, values: [SETTING_VALUE], problem: "string | null" },
  positional: ["name"],
  examples: [
    { command: "mu workstream show demo", shows: "one workstream" },
    { command: "mu workstream show dmeo", shows: "an unknown name, with a suggestion", fault: "workstream.not_found" },
  ],
  async run(app, { workstream }) {
    const { db } = app.context.store;
    const found = await showWorkstream(db, workstream);
    const ofProject = await projectValues(found.root ?? app.request.cwd, app.request.env);
    return { workstream: found, ...ofProject, values: [...(await listSettings(db, workstream)), ...ofProject.values] };
  },
  render: ({ workstream: found, values, problem }, paint) => [
    paint.bold(found.name),
    `  root    ${found.root ?? "—"}`,
    `  tasks   ${found.tasks} (${found.open} open), ${counted(found.edges, "edge")}, ${counted(found.notes, "note")}`,
    `  agents  ${found.agents}`,
    `  created ${localTime(found.createdAt)}`,
    ...values.map(({ key, value, source }) => {
      const line = `  ${key} = ${settingText(value)}`;
      return source === "default" ? paint.dim(`${line} (default)`) : `${line} (${source})`;
    }),
    problem && `  ! ${problem}`,
  ],
});

/** What the settings file says, or what is wrong with it. */
async function projectValues(
  root: string,
  env: App["request"]["env"],
): Promise<{ values: SettingValue[]; problem: string | null }> {
  try {
    return { values: await listProjectSettings(root, await projectEnv(root, env)), problem: null };
  } catch (error) {
    return { values: [], problem: asFault(error).message };
  }
}

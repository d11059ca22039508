import { resolve } from "node:path";
import * as z from "zod";
import { Fault } from "../../errors.js";
import { moveRoot } from "../../workspaces/move-root.js";
import { SETTING_KEYS, SETTING_VALUES, SETTINGS, settingText } from "../../workstreams/settings.js";
import { changeSetting, getWorkstream } from "../../workstreams/workstream.js";
import { defineOperation, step } from "../define.js";
import { field, flag, workstreamField } from "../fields.js";
import { requirePerson } from "../require-person.js";

/** Settings that run for others. */
const COMMANDS: readonly string[] = ["check", "setup.command", "setup.beforeCheckout"];

export const workstreamSet = defineOperation({
  name: "workstream.set",
  summary: "Change a setting of a workstream",
  description: `${SETTING_KEYS.map((key) => `${key}: ${lowerFirst(SETTINGS[key]?.about ?? "")}, ${SETTINGS[key]?.wants}.`).join(" ")} root: the project's folder; if the old one was moved there, its workspaces, saves and tasks go along.`,
  effect: "write",
  repeatable: true,
  input: () => ({
    key: field(z.string(), "Setting"),
    value: field(z.string().max(65_536).optional(), "New value; separate list items with commas"),
    unset: flag("Restore the default"),
    workstream: workstreamField(),
  }),
  output: { workstream: "string", key: "string", value: "unknown", changed: "boolean", settings: SETTING_VALUES },
  positional: ["key", "value"],
  examples: [
    { command: "mu workstream set check 'npm test'", shows: "what must pass before work counts as verified" },
    { command: "mu workstream set closeRequires commit", shows: "agents close only what they have committed" },
    { command: "mu workstream set setup.copy '.env, config/*.local.json'", shows: "a list" },
    { command: "mu workstream set root ~/src/shop", shows: "a folder that does not exist", fault: "vcs.no_folder" },
    { command: "mu workstream set check --unset", shows: "back to the default" },
    { command: "mu workstream set chek 'npm test'", shows: "an unknown setting", fault: "setting.unknown" },
    { command: "mu workstream set setup.ports many", shows: "an invalid value", fault: "setting.invalid" },
  ],
  async run(app, { key, value, unset, workstream: scope }) {
    if ((value === undefined) !== unset) throw notOneValue(value);
    if (key === "root" && value !== undefined) {
      const before = await getWorkstream(app.context.store.db, scope);
      const { settings, root } = await moveRoot(await app.crew(), scope, resolve(app.request.cwd, value));
      return { workstream: scope, key, settings, value: root, changed: root !== before.root };
    }
    if (COMMANDS.includes(key)) requirePerson(app, `mu workstream set ${key} ${unset ? "--unset" : "'…'"} -w ${scope}`);
    const change = await changeSetting(app.context, scope, key, value);
    if (key === "borders" && change.changed) {
      const { drawBorders } = await import("../../agents/borders.js");
      await drawBorders(await app.crew(), scope, change.settings.borders);
    }
    return { workstream: scope, key, ...change };
  },
  next: ({ workstream }) => [step("Show all settings", `mu workstream show ${workstream}`)],
  render: ({ workstream, key, value, changed }, paint) =>
    `${key} of ${workstream} ${changed ? "is now" : "was already"} ${paint.bold(settingText(value))}`,
});

function notOneValue(value: string | undefined): Fault {
  return value === undefined
    ? new Fault("usage", "usage.missing_argument", "Give a value, or --unset for the default.")
    : new Fault("usage", "usage.two_values", "Give a value or --unset, not both.");
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}

import * as z from "zod";
import { counted } from "../names.js";
import { rowsOf } from "../project/keys.js";
import { projectEnv, SETTINGS_FILE } from "../project/read.js";
import { checkRole, getRole, ROLE, ROLE_FINDING } from "../project/roles.js";
import { ROLE_KEYS, type Role } from "../project/settings.js";
import { defineOperation, listed, listOf, step } from "./define.js";
import { field, workstreamField } from "./fields.js";
import { projectOf } from "./project.js";

const roleArgument = () => field(z.string(), "Role", { completes: "role" });

export const roleList = defineOperation({
  name: "role.list",
  summary: "List the roles of the project",
  description: `Roles are described in ${SETTINGS_FILE}.`,
  effect: "read",
  input: () => ({ workstream: workstreamField() }),
  output: listOf(ROLE),
  examples: [
    { command: "mu role list", shows: "the specialists of the project" },
    { command: "mu role list -w nothing", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  async run(app, { workstream }) {
    const { settings } = await projectOf(app, workstream);
    return listed(Object.values(settings.roles));
  },
  render: ({ items }, paint) =>
    paint.list(items, `No roles: ${SETTINGS_FILE} describes none.`, [
      { head: "role", text: (role) => role.name },
      { head: "cli", text: (role) => role.cli },
      { head: "model", text: (role) => role.model ?? "—" },
      { head: "cap a day", text: ({ dailyCapUsd: cap }) => (cap === null ? "—" : `${cap} USD`), align: "right" },
      { head: "at once", text: (role) => `${role.concurrency}`, align: "right" },
      { head: "access", text: (role) => role.access },
      { head: "prompt", text: (role) => role.prompt ?? "—", max: 60 },
    ]),
});

export const roleShow = defineOperation({
  name: "role.show",
  summary: "Show the settings of a role",
  effect: "read",
  input: () => ({ role: roleArgument(), workstream: workstreamField() }),
  output: { role: ROLE },
  positional: ["role"],
  examples: [
    { command: "mu role show code", shows: "how runs of its tasks are started, and what they may cost" },
    { command: "mu role show cod", shows: "an unknown role, with a suggestion", fault: "role.not_found" },
  ],
  async run(app, { role, workstream }) {
    return { role: getRole((await projectOf(app, workstream)).settings, role) };
  },
  next: ({ role }) => [step("Check it", `mu role check ${role.name}`)],
  render: ({ role }, paint) => [
    paint.bold(role.name),
    rowsOf(ROLE_KEYS).map(([key]) => `  ${key} = ${valueText(role[key as keyof Role])}`),
  ],
});

/** A setting's value as people read it. */
export function valueText(value: unknown): string {
  return Array.isArray(value) ? value.join(", ") : String(value ?? "—");
}

export const roleCheck = defineOperation({
  name: "role.check",
  summary: "Check that the roles of the project can work",
  description:
    "Looks at the prompt file, the program, the cap and the reservation, and at limits that the CLI cannot enforce. Exits 1 if something is wrong.",
  effect: "read",
  input: () => ({ role: roleArgument().optional(), workstream: workstreamField() }),
  output: { roles: "string[]", findings: [ROLE_FINDING] },
  positional: ["role"],
  examples: [
    { command: "mu role check", shows: "everything that keeps a role from working" },
    { command: "mu role check cod", shows: "an unknown role, with a suggestion", fault: "role.not_found" },
  ],
  async run(app, { role, workstream }) {
    const { root, settings } = await projectOf(app, workstream);
    const roles = role === undefined ? Object.values(settings.roles) : [getRole(settings, role)];
    const place = { root, env: await projectEnv(root, app.request.env) };
    const findings = await Promise.all(roles.map((one) => checkRole(place, settings, one)));
    return { roles: roles.map(({ name }) => name), findings: findings.flat() };
  },
  render: ({ roles, findings }, paint) => [
    findings.map(({ role, verdict, says }) => `${verdict === "error" ? "✗" : "!"} ${paint.bold(role)} ${says}`),
    findings.length === 0 && `${counted(roles.length, "role")} checked, nothing is wrong`,
  ],
  exitCode: ({ findings }) => (findings.some(({ verdict }) => verdict === "error") ? 1 : 0),
});

import { access, constants, readFile, stat } from "node:fs/promises";
import { delimiter, join, resolve } from "node:path";
import { unmetRestriction } from "../agents/clis/headless.js";
import { overrideName } from "../agents/clis/programs.js";
import { AGENT_CLIS } from "../agents/clis/table.js";
import { Fault } from "../errors.js";
import { didYouMean, quote, shellWord, shellWords } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { SETTINGS_FILE } from "./read.js";
import type { ProjectSettings, Role } from "./settings.js";

type Environment = Readonly<Record<string, string | undefined>>;

/** A role as verbs show it. */
export const ROLE = shape({
  name: "string",
  prompt: "string | null",
  cli: "string",
  command: "string | null",
  model: "string | null",
  liteModel: "string | null",
  dailyCapUsd: "number | null",
  reservationUsd: "number",
  concurrency: "number",
  allowedTools: "string[] | null",
  access: ["full", "read-only"],
  timeoutSeconds: "number",
  workspace: "boolean",
});

/** The role `name`. Faults `role.not_found` with the roles that there are. */
export function getRole({ roles }: ProjectSettings, name: string): Role {
  const found = roles[name];
  if (found !== undefined) return found;
  const known = Object.keys(roles);
  const hint = known.length > 0 ? `${didYouMean(name, known)} The roles are ${known.join(", ")}.` : " There are none.";
  throw new Fault("missing", "role.not_found", `There is no role ${quote(name)} in ${SETTINGS_FILE}.${hint}`, [
    { intent: "List the roles", command: "mu role list" },
  ]);
}

/** Refuses names that are no roles of a project that has roles. Faults `role.unknown` with the list. */
export function requireRoles(
  { root, settings }: { root: string; settings: ProjectSettings },
  names: readonly (string | null | undefined)[],
): void {
  const known = Object.keys(settings.roles);
  const unknown = [...new Set(names)].filter((name): name is string => name != null && !known.includes(name));
  const [first] = unknown;
  if (known.length === 0 || first === undefined) return;
  const message = `Unknown role ${unknown.map(quote).join(", ")}.${didYouMean(first, known)} The roles are ${known.join(", ")}.`;
  throw new Fault("conflict", "role.unknown", message, [
    { intent: "List the roles", command: "mu role list" },
    { intent: "Add the role to the settings file", command: `\${EDITOR:-vi} ${shellWord(join(root, SETTINGS_FILE))}` },
  ]);
}

/** What keeps a role from working, or may surprise. */
export const ROLE_FINDING = shape({ role: "string", verdict: ["error", "warning"], says: "string" });
type RoleFinding = TypeOf<typeof ROLE_FINDING>;

/** Everything that is wrong with the role: its prompt file, its program, its money, its limits. */
export async function checkRole(
  { root, env }: { root: string; env: Environment },
  { budget }: ProjectSettings,
  role: Role,
): Promise<RoleFinding[]> {
  const { cli, reservationUsd: reserved, dailyCapUsd: cap } = role;
  const ceiling = budget.projectCeilingUsd;
  const { refuse, warn } = unmetRestriction(AGENT_CLIS[cli], role);
  const program = programOf(role, env);
  const errors = [
    await promptProblem(root, role.prompt),
    !(await isInstalled(program, env, root)) && `its program ${quote(program)} is not installed`,
    cap !== null && cap > 0 && reserved > cap && `reserves ${reserved} USD, more than its cap of ${cap} USD`,
    ceiling !== null && reserved > ceiling && `reserves ${reserved} USD, more than the project's ${ceiling} USD`,
    refuse,
  ];
  const warnings = [
    warn,
    role.prompt === null && "has no prompt: its runs know only their task",
    cap === 0 && "has a cap of 0 USD, so it never runs",
    cap !== null && cap > 0 && reserved === 0 && "reserves nothing, so its runs can exceed its cap",
  ];
  const as = (verdict: RoleFinding["verdict"]) => (says: string | false | undefined) =>
    says ? [{ role: role.name, verdict, says }] : [];
  return [...errors.flatMap(as("error")), ...warnings.flatMap(as("warning"))];
}

async function promptProblem(root: string, prompt: string | null): Promise<string | undefined> {
  if (prompt === null) return undefined;
  try {
    const text = await readFile(resolve(root, prompt), "utf8");
    return text.trim() === "" ? `its prompt ${prompt} is empty` : undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "ENOENT" ? `its prompt ${prompt} does not exist` : `its prompt ${prompt} cannot be read (${code})`;
  }
}

/** The program that runs of the role start. */
function programOf({ cli, command }: Role, env: Environment): string {
  const line = command ?? env[overrideName(cli)] ?? AGENT_CLIS[cli].command;
  return shellWords(line).find((word) => !/^\w+=/.test(word)) ?? "";
}

/** Whether a program is in the PATH, or at its path as seen from `cwd`. */
export async function isInstalled(program: string, env: Environment, cwd: string): Promise<boolean> {
  const folders = program.includes("/") ? [cwd] : (env["PATH"] ?? "").split(delimiter).filter(Boolean);
  const found = await Promise.all(
    folders
      .map(async (folder) => {
        const path = resolve(folder, program);
        await access(path, constants.X_OK);
        return (await stat(path)).isFile();
      })
      .map((search) => search.catch(() => false)),
  );
  return program !== "" && found.includes(true);
}

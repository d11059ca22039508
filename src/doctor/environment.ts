import { AGENT_CLIS } from "../agents/clis/table.js";
import { installedClis } from "../agents/clis/versions.js";
import { hooksStatus, installHooks } from "../agents/hooks/install.js";
import { asFault } from "../errors.js";
import { counted } from "../names.js";
import type { Found, Patient, Probe } from "./finding.js";

/** The oldest Node that mu runs on, as `engines` in package.json says. */
const OLDEST_NODE = [20, 12] as const;
/** The oldest git that can merge without a checkout. */
const OLDEST_GIT = [2, 38] as const;

/** The programs that mu runs on and starts, and who runs it. */
export const ENVIRONMENT: readonly Probe[] = [
  { name: "node", run: async () => [isAtLeast(process.versions.node, OLDEST_NODE) ? nodeOk() : oldNode()] },
  { name: "tmux", run: probeTmux },
  { name: "vcs", run: probeVcs },
  { name: "clis", run: probeClis },
  { name: "hooks", run: probeHooks },
  { name: "you", run: async ({ caller }) => [probeCaller(caller)] },
];

function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [m = 0, n = 0] = version.split(".").map(Number);
  return m > major || (m === major && n >= minor);
}

const nodeOk = (): Found => ({ severity: "ok", subject: "node", detail: process.versions.node });

function oldNode(): Found {
  const detail = `${process.versions.node}; mu needs ${OLDEST_NODE.join(".")} or newer.`;
  return { severity: "error", subject: "node", detail };
}

async function probeTmux({ crew: { tmux } }: Patient): Promise<Found[]> {
  const subject = "tmux";
  try {
    const { version, supported, features } = await tmux.probe();
    const panes = counted((await tmux.listPanes()).length, "pane");
    if (!supported) return [{ severity: "error", subject, detail: `${version}, ${panes}; mu needs 3.2 or newer.` }];
    const [has, lacks] = [true, false].map((there) =>
      Object.entries(features).flatMap(([name, found]) => (found === there ? [name] : [])),
    ) as [string[], string[]];
    const tried = [has.length > 0 && `has ${has.join(", ")}`, lacks.length > 0 && `lacks ${lacks.join(", ")}`];
    const detail = [version, panes, ...tried].filter(Boolean).join("; ");
    return [{ severity: lacks.length > 0 ? "note" : "ok", subject, detail }];
  } catch (error) {
    const { message, nextSteps } = asFault(error);
    return [{ severity: "error", subject, detail: message, step: nextSteps[0] }];
  }
}

/** git, and the other version controls that are installed or in use. */
async function probeVcs({ crew, examined }: Patient): Promise<Found[]> {
  const { db } = crew.context.store;
  const open = db.selectFrom("workspaces").select("backend").distinct().where("freed_at", "is", null);
  const used = examined.fault ? [] : (await open.execute()).map(({ backend }) => backend);
  const asked = ["git", "jj", "sl"].map(async (program): Promise<Found[]> => {
    const { code, stdout } = await crew.exec(program, ["--version"], { timeoutMs: 5_000 });
    const version = /\d+\.\d+(\.\d+)?/.exec(stdout)?.[0] ?? "of an unknown version";
    const needed = used.includes(program);
    if (code !== 0 && !needed && program !== "git") return [];
    if (code !== 0) {
      const severity = needed ? "error" : "note";
      return [{ severity, subject: program, detail: `not installed${needed ? ", and workspaces need it" : ""}.` }];
    }
    if (program !== "git" || isAtLeast(version, OLDEST_GIT))
      return [{ severity: "ok", subject: program, detail: version }];
    const detail = `${version}; predicting collisions and landing need ${OLDEST_GIT.join(".")} or newer.`;
    return [{ severity: needed ? "warning" : "note", subject: program, detail }];
  });
  return (await Promise.all(asked)).flat();
}

/** The agent CLIs that are installed; of a version that mu has not seen, a status may be wrong. */
async function probeClis({ crew }: Patient): Promise<Found[]> {
  return (await installedClis(crew)).map(({ cli, version, seenWith }): Found => {
    if (seenWith.includes(version)) return { severity: "ok", subject: cli, detail: version };
    const detail = `${version}; its screens are known from ${seenWith.join(" and ")}, so a status may be wrong.`;
    const command = "mu agent explain <agent> --save /tmp/screen";
    return { severity: "note", subject: cli, detail, step: { intent: "If so, save its screen for a report", command } };
  });
}

/** The hooks that a person has installed; agents of mu's bring their own. */
async function probeHooks({ crew: { env } }: Patient): Promise<Found[]> {
  const lasting = Object.values(AGENT_CLIS).filter(({ hooks }) => hooks?.lasting);
  const asked = lasting.map(async ({ key }): Promise<Found> => {
    const target = { cli: key, home: env["HOME"] ?? "/", env, scope: "user" as const };
    const subject = `${key} hooks`;
    const install = { intent: `Install the hooks of ${key}`, command: `mu hooks install --cli ${key}` };
    try {
      const { state, path } = await hooksStatus(target);
      if (state === "installed") return { severity: "ok", subject, detail: "installed" };
      if (state === "absent")
        return { severity: "ok", subject, detail: "not installed; agents that mu starts have their own" };
      const fix = {
        key: `hooks ${key}`,
        run: async () => `Brought the hooks in ${(await installHooks(target)).path} up to date.`,
      };
      return { severity: "warning", subject, detail: `out of date in ${path}.`, step: install, fix };
    } catch (error) {
      return { severity: "warning", subject, detail: asFault(error).message };
    }
  });
  return Promise.all(asked);
}

function probeCaller({ refusal, name, kind }: Patient["caller"]): Found {
  if (refusal !== null)
    return { severity: "note", subject: "you", detail: refusal.message, step: refusal.nextSteps[0] };
  return { severity: "ok", subject: "you", detail: `${name}, ${kind === "agent" ? "an agent" : "a person"}` };
}

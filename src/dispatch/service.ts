import { readFile, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { Fault } from "../errors.js";
import type { Host } from "../host.js";
import { writeWhole } from "../whole-file.js";

/** What starts a workstream's dispatcher after a reboot. */
export interface Service {
  workstream: string;
  /** The folder that it works in. */
  cwd: string;
  /** The program and its arguments. */
  argv: readonly string[];
  /** What it must have in its environment. */
  env: Readonly<Record<string, string>>;
}

/** What the system keeps of it, and whether this call changed it. */
export interface ServiceFile {
  path: string;
  changed: boolean;
}

type ServiceHost = Pick<Host, "exec" | "env">;

const MARK = "Written by mu dispatch install; mu dispatch uninstall removes it.";

/** A way to start programs after a reboot. */
interface Manager {
  path(host: ServiceHost, workstream: string): string;
  text(service: Service): string;
  /** Commands after the file was written, and before it is removed: of the latter none need succeed. */
  enable(path: string, workstream: string): string[][];
  disable(path: string, workstream: string): string[][];
}

const home = ({ env }: ServiceHost) => env["HOME"] || homedir();
const unitOf = (workstream: string) => `mu-dispatch-${workstream}.service`;
const labelOf = (workstream: string) => `mu.dispatch.${workstream}`;
const SYSTEMCTL = ["systemctl", "--user"];
const RELOAD = [...SYSTEMCTL, "daemon-reload"];

const systemd: Manager = {
  path: (host, workstream) =>
    join(host.env["XDG_CONFIG_HOME"] || join(home(host), ".config"), "systemd", "user", unitOf(workstream)),
  text: ({ workstream, cwd, argv, env }) => `# ${MARK}
[Unit]
Description=Dispatcher of the workstream ${workstream} (mu)

[Service]
WorkingDirectory=${cwd.replaceAll("%", "%%")}
${Object.entries(env)
  .map(([name, value]) => `Environment=${unitWord(`${name}=${value}`)}\n`)
  .join("")}ExecStart=${argv.map((word) => unitWord(word).replaceAll("$", "$$$$")).join(" ")}
# Runs go on without their dispatcher, and settle themselves.
KillMode=process
Restart=on-failure
RestartSec=60

[Install]
WantedBy=default.target
`,
  enable: (_path, workstream) => [RELOAD, [...SYSTEMCTL, "enable", unitOf(workstream)]],
  disable: (_path, workstream) => [[...SYSTEMCTL, "disable", "--now", unitOf(workstream)]],
};

/** A word of a unit file (systemd.syntax(7)). */
const unitWord = (word: string) => `"${word.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n").replaceAll("%", "%%")}"`;

const launchd: Manager = {
  path: (host, workstream) => join(home(host), "Library", "LaunchAgents", `${labelOf(workstream)}.plist`),
  text: ({ workstream, cwd, argv, env }) => `<?xml version="1.0" encoding="UTF-8"?>
<!-- ${MARK} -->
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key><string>${xml(labelOf(workstream))}</string>
  <key>WorkingDirectory</key><string>${xml(cwd)}</string>
  <key>EnvironmentVariables</key>
  <dict>${Object.entries(env)
    .map(([name, value]) => `<key>${xml(name)}</key><string>${xml(value)}</string>`)
    .join("")}</dict>
  <key>ProgramArguments</key>
  <array>${argv.map((word) => `<string>${xml(word)}</string>`).join("")}</array>
  <key>RunAtLoad</key><true/>
  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>
  <key>ThrottleInterval</key><integer>60</integer>
  <key>AbandonProcessGroup</key><true/>
</dict>
</plist>
`,
  // It reads the folder at the next login by itself.
  enable: () => [],
  disable: (_path, workstream) => [["launchctl", "bootout", `gui/${process.getuid?.() ?? 0}/${labelOf(workstream)}`]],
};

const xml = (text: string) => text.replace(/[&<>]/g, (found) => `&#${found.charCodeAt(0)};`);

const MANAGERS: Readonly<Partial<Record<NodeJS.Platform, Manager>>> = { linux: systemd, darwin: launchd };
const PROBES = { linux: [...SYSTEMCTL, "--version"], darwin: ["launchctl", "version"] } as const;

/** The file that would be written, and its text. Faults `dispatch.no_service` on a system without such files. */
export function planService(host: ServiceHost, service: Service, platform = process.platform) {
  const manager = MANAGERS[platform];
  if (manager === undefined) throw noService();
  return { path: manager.path(host, service.workstream), text: manager.text(service) };
}

/** Writes and enables it; the second time changes nothing. Faults `dispatch.no_service`, `dispatch.foreign_service`. */
export async function installService(
  host: ServiceHost,
  service: Service,
  platform = process.platform,
): Promise<ServiceFile> {
  const { path, text } = planService(host, service, platform);
  const manager = await managerOf(host, platform);
  const { workstream } = service;
  const before = await ownText(path);
  if (before !== text) await writeWhole(path, text);
  for (const words of manager.enable(path, workstream)) {
    const problem = await run(host, words);
    if (problem === null) continue;
    await (before === undefined ? rm(path, { force: true }) : writeWhole(path, before));
    throw noService(`${words.join(" ")}: ${problem}`);
  }
  return { path, changed: before !== text };
}

/** Ends the dispatcher that the system has started, whose runs go on, and removes the file. Faults `dispatch.foreign_service`. */
export async function uninstallService(
  host: ServiceHost,
  workstream: string,
  platform = process.platform,
): Promise<ServiceFile> {
  const manager = MANAGERS[platform];
  if (manager === undefined) throw noService();
  const path = manager.path(host, workstream);
  if ((await ownText(path)) === undefined) return { path, changed: false };
  for (const words of manager.disable(path, workstream)) await run(host, words);
  await rm(path, { force: true });
  if (manager === systemd) await run(host, RELOAD);
  return { path, changed: true };
}

async function managerOf(host: ServiceHost, platform: NodeJS.Platform): Promise<Manager> {
  const manager = MANAGERS[platform];
  const probe = PROBES[platform as keyof typeof PROBES];
  if (manager === undefined || (await run(host, probe)) !== null) throw noService();
  return manager;
}

const noService = (why = "neither systemd nor launchd is here") =>
  new Fault("unavailable", "dispatch.no_service", `The dispatcher cannot be installed: ${why}. Nothing was changed.`, [
    { intent: "Run it until the next reboot", command: "mu dispatch --detach" },
  ]);

/** Null if it succeeds, else why not. */
async function run({ exec, env }: ServiceHost, [file = "", ...args]: readonly string[]): Promise<string | null> {
  const { code, stderr, notStarted } = await exec(file, args, { env, timeoutMs: 20_000 });
  return code === 0 ? null : (notStarted ?? stderr.trim().split("\n").at(-1) ?? `exit ${code}`);
}

/** The text of the file; undefined if there is none. */
async function ownText(path: string): Promise<string | undefined> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined || text.includes(MARK)) return text;
  throw new Fault("conflict", "dispatch.foreign_service", `${path} is not mu's. Move it away first.`);
}

import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { basename, delimiter, dirname, join } from "node:path";
import { Fault } from "../errors.js";
import { quote } from "../names.js";
import { quoteWord } from "../tmux/run.js";
import { CAST } from "./cast.js";
import type { DemoWorld } from "./world.js";

/** The folders of one demo. */
export interface Scaffold {
  /** Gone when the demo ends. */
  temporary: string;
  /** Repository, transcripts and database: in `temporary`, or where they are to be kept. */
  stage: string;
  repository: string;
  database: string;
  /** The name of the tmux socket. */
  socket: string;
  /** All that the crew, its panes and its git see of the environment. */
  env: Readonly<Record<string, string>>;
  /** The script of an agent in its so-manieth life, from 0. */
  scriptOf(agent: string, life: number): string;
}

/** Makes the folders. Faults `demo.folder_not_empty`, `demo.folder_not_usable`. */
export async function buildScaffold(world: DemoWorld, keep: string | undefined): Promise<Scaffold> {
  if (keep !== undefined) await takeFolder(keep);
  const temporary = await mkdtemp(join(world.temporary, "mu-demo-"));
  const stage = keep ?? join(temporary, "stage");
  const scaffold: Scaffold = {
    temporary,
    stage,
    repository: join(stage, "repository"),
    database: join(stage, "mu.db"),
    socket: basename(temporary),
    env: environment(world, temporary),
    scriptOf: (agent, life) => join(temporary, `${agent}-${life}.json`),
  };
  try {
    for (const folder of [join(temporary, "bin"), join(temporary, "home"), scaffold.repository])
      await mkdir(folder, { recursive: true, mode: 0o700 });
    await writePrograms(world, join(temporary, "bin"));
    await writeScripts(scaffold);
  } catch (error) {
    await removeScaffold(scaffold);
    throw error;
  }
  return scaffold;
}

/** Takes away all but what is kept. A transcript's last bytes may still be on their way. */
export async function removeScaffold({ temporary, stage }: Pick<Scaffold, "temporary" | "stage">): Promise<void> {
  await rm(temporary, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  for (const leftover of ["spool", "launches"]) await rm(join(stage, leftover), { recursive: true, force: true });
}

async function takeFolder(keep: string): Promise<void> {
  const found = await mkdir(keep, { recursive: true, mode: 0o700 })
    .then(() => readdir(keep))
    .catch((error: NodeJS.ErrnoException) => {
      const why = `The folder ${quote(keep)} cannot be used (${error.code ?? error.message}).`;
      throw new Fault("usage", "demo.folder_not_usable", why);
    });
  if (found.length === 0) return;
  throw new Fault("conflict", "demo.folder_not_empty", `The folder ${quote(keep)} is not empty.`, [
    { intent: "Keep it in a new one", command: `mu demo --keep ${quoteWord(`${keep}-2`)}` },
  ]);
}

/** No configuration, no keys, no other mu: a home of its own, and of the variables only those of a terminal. */
function environment({ env, programs }: DemoWorld, temporary: string): Record<string, string> {
  const passed = ["TERM", "TMPDIR", "TMUX_TMPDIR", "USER", "LOGNAME"].flatMap((name) => {
    const value = env[name];
    return value ? [[name, value] as const] : [];
  });
  const cache = env["XDG_CACHE_HOME"] || (env["HOME"] && join(env["HOME"], ".cache"));
  return {
    ...Object.fromEntries(passed),
    ...(cache ? { XDG_CACHE_HOME: cache } : {}),
    PATH: [join(temporary, "bin"), env["PATH"], dirname(programs.node)].filter(Boolean).join(delimiter),
    HOME: join(temporary, "home"),
    SHELL: "/bin/sh",
    LANG: "C.UTF-8",
    GIT_CONFIG_NOSYSTEM: "1",
    MU_TMUX_SOCKET: basename(temporary),
  };
}

/** In the panes `mu` is this very mu, and `mu-player` the scripted agent that came with it. */
async function writePrograms({ programs }: DemoWorld, folder: string): Promise<void> {
  for (const [name, file] of [
    ["mu", programs.mu],
    ["mu-player", programs.player],
  ] as const) {
    const path = join(folder, name);
    await writeFile(path, `#!/bin/sh\nexec ${quoteWord(programs.node)} ${quoteWord(file)} "$@"\n`);
    await chmod(path, 0o700);
  }
}

async function writeScripts({ scriptOf }: Scaffold): Promise<void> {
  for (const { name, scripts } of CAST)
    for (const [life, script] of scripts.entries()) await writeFile(scriptOf(name, life), JSON.stringify(script));
}

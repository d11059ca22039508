import { execFileSync, spawn } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { CODE_CACHE, outcome, PROGRAM, type Ran } from "../support/cli.js";
import { shellWords } from "../support/command.js";
import { type Seeded, seededApp } from "../support/seeded.js";
import { eventually } from "../support/tmux.js";
import type { Scenario } from "./scenarios.js";
import { type Instead, readTrace, type TracedCall, traced } from "./strace.js";

/** A call of mu itself, whose `program` is 0, or of the `program`th git that it starts. */
export interface Point extends TracedCall {
  program: number;
}

/** A line as it ran, with the calls of what was traced. */
export interface Traced extends Ran {
  calls: Point[];
}

/** A seeded project on which the built program runs lines, and which can be put back as it was. */
export interface Place {
  /** Where it is now: a project with panes moves when it is put back. */
  readonly app: Seeded;
  run(words: string): Promise<Ran>;
  /** Runs a line and notes the calls of mu and of every git. */
  trace(words: string): Promise<Traced>;
  /** Runs a line with a fault at one call, and notes the calls of the program that has it. */
  inject(words: string, at: Point, instead: Instead): Promise<Traced>;
  putBack(): Promise<void>;
  end(): Promise<void>;
}

/**
 * Stands in front of git and counts its starts. The one that `SWEEP_GIT` names, or `each`, is traced; where it is to
 * be killed, mu goes with it, as when a machine stops.
 */
const GIT = `#!/bin/sh
echo >> "$SWEEP_TOOLS/count"
n=$(wc -l < "$SWEEP_TOOLS/count")
[ "$SWEEP_GIT" = each ] || [ "$SWEEP_GIT" = "$n" ] || exec @git@ "$@"
$SWEEP_STRACE -o "$SWEEP_TOOLS/trace.$n" @git@ "$@"
code=$?
[ "$SWEEP_KILLS$code" = yes137 ] && kill -9 $PPID
exit $code
`;

/** A line that has not ended by then, in ms, hangs, and is ended: a fault at the call by which Node wakes itself does that. */
const BOUND_MS = 150_000;

/** Seeds the project of a scenario. */
export async function openPlace({ project, before }: Pick<Scenario, "project" | "before">): Promise<Place> {
  const tools = mkdtempSync(join(tmpdir(), "mu-sweep-"));
  const kept = join(tools, "kept");
  const git = execFileSync("sh", ["-c", "command -v git"], { encoding: "utf8" }).trim();
  writeFileSync(join(tools, "git"), GIT.replaceAll("@git@", git), { mode: 0o755 });
  const hasPanes = project[0] === "with panes";
  let app = await seeded(project);

  const run = async (words: string, tracer: readonly string[], env: Record<string, string>): Promise<Ran> => {
    for (const name of tracesIn(tools)) rmSync(join(tools, name));
    writeFileSync(join(tools, "count"), "");
    const [file = "", ...args] = [...tracer, process.execPath, PROGRAM, ...shellWords(words), "--json"];
    const child = spawn(file, args, {
      cwd: app.request.cwd,
      env: {
        ...{ ...app.env, HOME: app.folder, TMPDIR: app.folder, XDG_CACHE_HOME: CODE_CACHE },
        PATH: [tools, app.env["PATH"]].join(delimiter),
        // One thread does all work on files, one call after the other, so that a call is the same in every run.
        UV_THREADPOOL_SIZE: "1",
        ...{ SWEEP_TOOLS: tools, ...env },
      },
    });
    child.stdin.end();
    const bound = setTimeout(() => {
      for (const pid of programsIn(app.folder)) process.kill(Number(pid), "SIGKILL");
    }, BOUND_MS);
    const ran = await outcome(child);
    clearTimeout(bound);
    await eventually("the programs of mu end", async () => programsIn(app.folder).length === 0);
    return ran;
  };
  const callsOf = (ran: Ran): Traced => ({
    ...ran,
    calls: tracesIn(tools).flatMap((name) => {
      const calls = readTrace(readFileSync(join(tools, name), "utf8").replaceAll(app.folder, "~"));
      return calls.map((call) => ({ ...call, program: Number(name.slice("trace.".length)) }));
    }),
  });
  const ofMu = ["-o", join(tools, "trace.0")];
  for (const words of before) await run(words, [], {});
  if (!hasPanes) copy(app.folder, kept);
  return {
    get app() {
      return app;
    },
    run: (words) => run(words, [], {}),
    trace: async (words) => {
      const env = { SWEEP_GIT: "each", SWEEP_STRACE: traced("with children").join(" ") };
      return callsOf(await run(words, [...traced("alone"), ...ofMu], env));
    },
    inject: async (words, at, instead) => {
      if (at.program === 0) return callsOf(await run(words, [...traced("alone", { ...at, instead }), ...ofMu], {}));
      const env = {
        SWEEP_GIT: String(at.program),
        SWEEP_STRACE: traced("with children", { ...at, instead }).join(" "),
        SWEEP_KILLS: instead === "SIGKILL" ? "yes" : "",
      };
      return callsOf(await run(words, [], env));
    },
    putBack: async () => {
      if (hasPanes) {
        await app.end();
        app = await seeded(project);
        for (const words of before) await run(words, [], {});
        return;
      }
      rmSync(app.folder, { recursive: true, force: true, maxRetries: 5 });
      copy(kept, app.folder);
    },
    end: async () => {
      await app.end();
      rmSync(tools, { recursive: true, force: true });
    },
  };
}

/** A seeded project of which this process has nothing open. */
async function seeded(project: Scenario["project"]): Promise<Seeded> {
  const app = await seededApp(...project);
  await app.store.close();
  return { ...app, end: async () => void (await app.end()) };
}

const copy = (from: string, to: string) =>
  cpSync(from, to, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });

const tracesIn = (folder: string) => readdirSync(folder).filter((name) => name.startsWith("trace."));

/** What a line of mu has started and is still at work, apart from tmux and what runs in its panes. */
function programsIn(folder: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      const name = readFileSync(`/proc/${pid}/comm`, "utf8").trim();
      return /^(git|node|strace)/.test(name) && readFileSync(`/proc/${pid}/environ`, "utf8").includes(`=${folder}\0`);
    } catch {
      return false;
    }
  });
}

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { execProgram } from "../src/exec.js";
import { temporaryFolder } from "./support/database.js";
import { eventually } from "./support/tmux.js";

const sh = (script: string, options: Parameters<typeof execProgram>[2] = {}) =>
  execProgram("sh", ["-c", script], options);

describe("a program that is run to its end", () => {
  it("gives what it printed, its code, and takes what it is given", async () => {
    const env = { PATH: process.env["PATH"], COLOUR: "blüe" };
    const answer = await sh("cat; echo $COLOUR$HOME >&2; exit 3", { input: "in\n", env, cwd: "/" });
    expect(answer).toEqual({ code: 3, stdout: "in\n", stderr: "blüe\n", timedOut: false });
    expect(await sh("true", { input: "x".repeat(1_000_000) })).toMatchObject({ code: 0 });
  });

  it("says that it could not be started, and why", async () => {
    expect(await execProgram("/no/such/program", [])).toMatchObject({ code: null, notStarted: "ENOENT" });
    expect(await execProgram("/etc/passwd", [])).toMatchObject({ code: null, notStarted: "EACCES" });
    expect(await execProgram("true", [], { cwd: "/no/such/folder" })).toMatchObject({ notStarted: "ENOENT" });
    expect(await execProgram("true", ["x".repeat(10_000_000)])).toMatchObject({ notStarted: "E2BIG" });
  });

  it("says so also where no descriptor is left to start it with, and goes on", async () => {
    const source = fileURLToPath(new URL("../src/exec.ts", import.meta.url));
    const program = `import { closeSync, openSync } from "node:fs";
      import { execProgram } from ${JSON.stringify(source)};
      await execProgram("true", []);
      const open = [];
      try { for (;;) open.push(openSync("/dev/null")); } catch {}
      const start = (options) => execProgram("true", [], options);
      const answers = await Promise.all([start(), start({ onOutput() {} }), start()]);
      answers.push(await start());
      for (const one of open) closeSync(one);
      console.log(JSON.stringify([...answers, await start()].map(({ code, notStarted }) => code ?? notStarted)));`;
    const words = [
      "-c",
      'ulimit -n 256; exec "$@"',
      "sh",
      process.execPath,
      "--import",
      "tsx",
      "--input-type=module",
      "-e",
    ];
    expect(await execProgram("sh", [...words, program])).toMatchObject({
      stdout: '["EMFILE","EMFILE","EMFILE","EMFILE",0]\n',
    });
  });

  it("ends it when its time is up, though what it has started keeps its output open", async () => {
    const answer = await sh("echo begun; sleep 60 & echo $!; wait", { timeoutMs: 50 });
    expect(answer).toMatchObject({ code: null, timedOut: true });
    const pid = Number(answer.stdout.split("\n")[1]);
    if (pid > 0) process.kill(pid);
  });

  it("ends it by the signal, at once or while it runs, and by force where it does not want to", async () => {
    expect(await sh("sleep 60", { signal: AbortSignal.abort() })).toMatchObject({ code: null, timedOut: false });
    const leaving = new AbortController();
    const running = sh("trap '' TERM; while :; do sleep 0.1; done", { signal: leaving.signal });
    leaving.abort();
    expect(await running).toMatchObject({ code: null, timedOut: false });
  });

  it("ends with the process that runs it", async () => {
    const folder = temporaryFolder();
    const said = join(folder.path, "said");
    const source = fileURLToPath(new URL("../src/exec.ts", import.meta.url));
    const program = `import { existsSync } from "node:fs";
      import { execProgram } from ${JSON.stringify(source)};
      const script = "trap 'echo ended >>$SAID; exit' TERM; echo begun >$SAID; while :; do sleep 0.05; done";
      execProgram("sh", ["-c", script]);
      setInterval(() => existsSync(process.env.SAID) && process.exit(0), 10);`;
    const env = { ...process.env, SAID: said };
    const words = ["--import", "tsx", "--input-type=module", "-e", program];
    expect(await execProgram(process.execPath, words, { env, timeoutMs: 30_000 })).toMatchObject({ code: 0 });
    await eventually("it has ended", async () => readFileSync(said, "utf8") === "begun\nended\n");
    folder.remove();
  });
});

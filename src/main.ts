#!/usr/bin/env node
import { writeSync } from "node:fs";
import { join } from "node:path";
import { wantsColour } from "./cli/colour.js";
import { compileCached } from "./code-cache.js";
import { VERSION } from "./version.js";

/** The build puts the hash of `app.cjs` here. */
const BUILD = "@app-hash@";

const argv = process.argv.slice(2);

const asksVersion = (word: string) => word === "--version" || word === "-V";

if (argv.some(asksVersion) && argv.every((word) => asksVersion(word) || word === "--json")) {
  printVersion();
} else {
  void run();
}

/** Answered before anything is loaded: scripts ask for it often. */
function printVersion(): void {
  const json = argv.includes("--json");
  const write = writer(
    1,
    () => process.stdout,
    () => {},
  );
  write(`${json ? JSON.stringify({ version: VERSION, json: 1, node: process.version }) : VERSION}\n`);
}

async function run(): Promise<void> {
  const ending = new AbortController();
  let endsWith: number | undefined;
  const endWith = (code: number) => () => {
    if (endsWith !== undefined) process.exit(code);
    endsWith = code;
    ending.abort();
  };
  // These stay: execa ends a process by the signal if it has no other listener.
  const listeners = { SIGINT: endWith(130), SIGTERM: endWith(143) };
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) process.on(signal, listeners[signal]);
  const app = compileCached(join(__dirname, "app.cjs"), BUILD, process.env);
  const { runLine } = app.load(require) as typeof import("./cli/run.js");
  const closed = () => ending.abort();
  const output = {
    out: writer(1, () => process.stdout, closed),
    err: writer(
      2,
      () => process.stderr,
      () => {},
    ),
    program: __filename,
    endAtSignals: () => {
      for (const signal of signals) process.removeListener(signal, listeners[signal]);
    },
    get endsWith() {
      return endsWith;
    },
    hints: process.env["MU_HINTS"] !== "0",
    get columns() {
      return (process.stdout.isTTY && process.stdout.columns) || undefined;
    },
    get colour() {
      return wantsColour(process.env, process.stdout.isTTY === true);
    },
  };
  const code = await runLine(argv, output, ending.signal);
  process.exitCode ??= code;
  app.keep();
  // What a verb has left behind, such as an open terminal, does not hold up the end.
  if (endsWith !== undefined) process.exit();
}

/**
 * Writes text to `fd` straight away: Node's own stream for it takes ms to load. It is only asked for what a pipe
 * that others made non-blocking does not take at once. `closed` is told that nobody reads any more.
 */
function writer(fd: number, stream: () => NodeJS.WriteStream, closed: () => void): (text: string) => void {
  let write = (text: string) => {
    let rest = Buffer.from(text);
    try {
      while (rest.length > 0) rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // An error that cannot be shown anywhere is left to the exit code.
      if (code === "EPIPE" || (fd === 2 && code !== "EAGAIN")) return end();
      if (code !== "EAGAIN") throw Object.assign(error as Error, { path: "standard output" });
      const slow = stream().on("error", end);
      write = (more) => void slow.write(more);
      slow.write(rest);
    }
  };
  const end = () => {
    write = () => {};
    closed();
  };
  return (text) => write(text);
}

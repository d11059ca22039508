#!/usr/bin/env node
import { VERSION } from "./version.js";

const argv = process.argv.slice(2);

if (argv.length > 0 && argv.every((word) => word === "--version" || word === "-V" || word === "--json")) {
  printVersion();
} else {
  await run();
}

/** Answered before anything is loaded: scripts ask for it often. */
function printVersion(): void {
  const json = argv.includes("--json");
  process.stdout.write(`${json ? JSON.stringify({ version: VERSION, json: 1, node: process.version }) : VERSION}\n`);
}

async function run(): Promise<void> {
  const ending = new AbortController();
  process.once("SIGINT", () => {
    process.exitCode = 130;
    ending.abort();
  });
  process.once("SIGTERM", () => {
    process.exitCode = 143;
    ending.abort();
  });
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    ending.abort();
  });
  const { runLine } = await import("./cli/run.js");
  const colour = process.stdout.isTTY === true && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb";
  const code = await runLine(argv, { out: write(process.stdout), err: write(process.stderr), colour }, ending.signal);
  process.exitCode ??= code;
}

function write(stream: NodeJS.WriteStream): (text: string) => void {
  return (text) => {
    if (stream.writable) stream.write(text);
  };
}

#!/usr/bin/env node
import { createRequire } from "node:module";
import { join } from "node:path";
import { compileCached } from "./code-cache.js";
import { VERSION } from "./version.js";

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
  process.stdout.write(`${json ? JSON.stringify({ version: VERSION, json: 1, node: process.version }) : VERSION}\n`);
}

async function run(): Promise<void> {
  const ending = new AbortController();
  const endWith = (code: number) => () => {
    process.exitCode = code;
    ending.abort();
  };
  process.once("SIGINT", endWith(130));
  process.once("SIGTERM", endWith(143));
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    ending.abort();
  });
  process.stderr.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
  const path = join(__dirname, "app.cjs");
  const app = compileCached(path, process.env);
  const { runLine } = app.load(createRequire(path)) as typeof import("./cli/run.js");
  const colour = process.stdout.isTTY === true && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb";
  const code = await runLine(argv, { out: write(process.stdout), err: write(process.stderr), colour }, ending.signal);
  process.exitCode ??= code;
  app.keep();
}

function write(stream: NodeJS.WriteStream): (text: string) => void {
  return (text) => {
    if (stream.writable) stream.write(text);
  };
}

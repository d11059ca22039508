import { appendFile, mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { createInterface } from "node:readline";

/** How many lines of the history are offered again. */
const MOST_HISTORY = 500;

/** The lines of standard input. A person at a terminal gets a prompt on standard error, editing, and their history. */
export async function* readLines({
  prompt,
  history: file,
  signal,
}: {
  prompt: string;
  history: string;
  signal: AbortSignal;
}): AsyncGenerator<string> {
  const { stdin: input, stderr: output } = process;
  const isTerminal = input.isTTY === true && output.isTTY === true;
  const before = isTerminal ? await readFile(file, "utf8").catch(() => "") : "";
  const history = before.split("\n").filter(Boolean).slice(-MOST_HISTORY).reverse();
  const lines = createInterface({ input, output, prompt, terminal: isTerminal, history, crlfDelay: 100 });
  const close = () => lines.close();
  signal.addEventListener("abort", close, { once: true });
  lines.on("SIGINT", close);
  if (isTerminal) lines.prompt();
  try {
    for await (const line of lines) {
      if (isTerminal && line.trim() !== "") {
        await mkdir(dirname(file), { recursive: true });
        await appendFile(file, `${line}\n`, { mode: 0o600 });
      }
      yield line;
      if (isTerminal && !signal.aborted) lines.prompt();
    }
  } finally {
    signal.removeEventListener("abort", close);
    lines.close();
  }
}

// Stands in for pi: speaks its RPC and its print mode, and does what a prompt says in brackets.
import { spawn } from "node:child_process";
import { appendFileSync } from "node:fs";

const args = process.argv.slice(2);
const { STUB_PI_LOG: log, STUB_PI_DECISION: decision = "Hm.", STUB_PI_STUBBORN: stubborn } = process.env;
const note = (what) => log && appendFileSync(log, `${JSON.stringify({ pid: process.pid, ...what })}\n`);
const put = (message, end = "\n") => process.stdout.write(`${JSON.stringify(message)}${end}`);

if (args.includes("--help")) {
  process.stdout.write("--no-context-files --skill\n");
  process.exit(0);
}
note({ args });

function answerTo(text) {
  if (text.startsWith("Decide how")) return decision;
  if (text.startsWith("The delegated work has come to an end")) return "It ended.";
  return `done: ${text.split("\n").at(-1)}`;
}

if (args.includes("--print")) {
  const text = args.at(-1) ?? "";
  note({ prompt: text });
  if (text.includes("[die]")) {
    process.stderr.write("the provider is gone\n");
    process.exit(3);
  }
  process.stdout.write(`${answerTo(text)}\n`);
  process.exit(0);
}

if (stubborn) {
  process.on("SIGTERM", () => {});
  process.on("SIGINT", () => {});
  const child = spawn("sh", ["-c", "trap '' TERM INT; while :; do sleep 1000; done"], { stdio: "ignore" });
  note({ child: child.pid });
  setInterval(() => {}, 1000);
}

let last = "";
const end = (stopReason) => put({ type: "agent_end", messages: [{ role: "assistant", stopReason }] });

const ACTS = {
  die() {
    process.stderr.write(`the provider is gone, key ${process.env.ACME_API_KEY}\n`, () => process.exit(3));
  },
  hang() {},
  retry() {
    end("error");
    put({ type: "auto_retry_start", attempt: 1, delayMs: 1 });
    end("stop");
  },
  "retry in vain"() {
    end("error");
    put({ type: "auto_retry_start", attempt: 1, delayMs: 1 });
    put({ type: "auto_retry_end", success: false, finalError: "overloaded" });
  },
  strange() {
    process.stdout.write("no json at all\n[1,2]\nnull\n{\n\n");
    put({ type: "message_update", delta: "a\u2028b\u2029c" });
    put({ type: "agent_end", messages: [] }, "\r\n");
  },
};

function take(line) {
  const { id, type, message } = JSON.parse(line);
  note({ [type]: message ?? id ?? true });
  if (type === "get_last_assistant_text") return put({ id, type: "response", success: true, data: { text: last } });
  if (type !== "prompt") return;
  if (message.includes("[refuse]")) return put({ id, type: "response", success: false, error: "no model" });
  put({ id, type: "response", command: "prompt", success: true });
  last = message.includes("[nothing]") ? null : answerTo(message);
  if (message.includes("[strange]")) last = "one\u2028two\r";
  const [, act] = /\[([a-z ]+)\]/.exec(message) ?? [];
  (ACTS[act] ?? (() => end("stop")))();
}

let rest = "";
process.stdin.setEncoding("utf8");
process.stdin.on("data", (chunk) => {
  const lines = (rest + chunk).split("\n");
  rest = lines.pop();
  for (const line of lines) take(line);
});

import { DRAIN_COMMAND, type HookKit, OWN_FILE_HEADER, ownFile, PRIME_COMMAND, SPOOL_SCRIPT } from "../hook-kit.js";

/**
 * An extension of pi. Handlers return nothing, so none of them changes what pi does. The briefing goes into an idle
 * conversation at once: "nextTurn" would put it behind the prompt, where a model takes it for the latest word. Of
 * several copies (the user's and an agent's own) the one that saw the session begin last reports. A session that was
 * replaced makes its `ctx` throw, and a throw in a timer ends `pi -p`: all use of it is guarded.
 */
const EXTENSION = `${OWN_FILE_HEADER}
import { execFile } from "node:child_process";
${SPOOL_SCRIPT}
export default function (pi) {
  const put = openSpool();
  if (!put) return;
  const me = {};
  const attempt = (action) => {
    try {
      return action();
    } catch {
      return undefined;
    }
  };
  const on = (name, read) =>
    attempt(() =>
      pi.on(name, (event, ctx) => {
        if (name === "session_start") globalThis.muReporter = me;
        if (globalThis.muReporter === me) attempt(() => put(name, read(event, ctx)));
      }),
    );
  const keepTitle = (ctx) => {
    const title = process.env.MU_AGENT;
    const set = () => attempt(() => ctx.ui.setTitle(title));
    if (!title) return;
    set();
    setTimeout(set, 300).unref();
  };
  const runMu = (command, input, done) => {
    const [program, ...args] = command.split(" ");
    const child = execFile(program, args, { timeout: 30000 }, (error, stdout) => {
      if (!error && stdout.trim() !== "") attempt(() => done(stdout));
    });
    child.on("error", () => undefined);
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  };
  const prime = (ctx) => {
    if (ctx.hasUI === false) return;
    runMu(${JSON.stringify(PRIME_COMMAND)}, "", (content) => {
      const when = attempt(() => ctx.isIdle()) === false ? { deliverAs: "nextTurn" } : {};
      pi.sendMessage({ customType: "mu", content, display: true }, when);
    });
  };
  const drain = (ctx) => {
    if (ctx.hasUI === false) return;
    const asked = { hook_event_name: "Stop", session_id: conversation(ctx) };
    runMu(${JSON.stringify(DRAIN_COMMAND)}, JSON.stringify(asked), (answer) => {
      const { decision, reason } = JSON.parse(answer);
      if (decision === "block") pi.sendUserMessage(reason, { deliverAs: "followUp" });
    });
  };
  const conversation = (ctx) => attempt(() => ctx.sessionManager.getSessionFile());

  on("session_start", (event, ctx) => {
    keepTitle(ctx);
    prime(ctx);
    return { reason: event.reason, session: conversation(ctx) };
  });
  on("input", (event) => ({ text: event.text, source: event.source }));
  on("agent_start", (_event, ctx) => {
    keepTitle(ctx);
    return { session: conversation(ctx) };
  });
  on("tool_execution_start", (event) => ({ tool: event.toolName }));
  on("tool_execution_end", (event) => ({ tool: event.toolName, isError: event.isError }));
  on("ui_prompt_start", (event) => ({ kind: event.kind, title: event.title }));
  on("ui_prompt_end", () => ({}));
  on("agent_end", (event, ctx) => {
    const last = event.messages?.findLast((message) => message.role === "assistant");
    keepTitle(ctx);
    if (last?.stopReason === "stop") drain(ctx);
    return { stop: last?.stopReason, error: last?.errorMessage };
  });
  on("agent_settled", () => ({}));
  on("session_before_compact", (event) => ({ reason: event.reason }));
  on("session_compact", (event) => ({ reason: event.reason, willRetry: event.willRetry }));
  on("session_compact_failed", (event) => ({ reason: event.reason, error: event.errorMessage }));
  on("session_shutdown", (event) => ({ reason: event.reason }));
}
`;

export const piHooks: HookKit = {
  agentFile: { name: "pi.ts", text: EXTENSION },
  lasting: {
    project: ".pi/extensions/mu.ts",
    user: ({ home, env = {} }) => `${env.PI_CODING_AGENT_DIR || `${home}/.pi/agent`}/extensions/mu.ts`,
    edit: ownFile(EXTENSION),
  },
};

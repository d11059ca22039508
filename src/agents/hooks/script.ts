/**
 * JavaScript for extensions that run inside an agent CLI: `openSpool()` gives a function that appends an event to the
 * pane's spool, or undefined where there is none. A CLI that the agent started in its own shell tool inherits the
 * environment, and the id of the process that reports with it: it reports nothing.
 */
export const SPOOL_SCRIPT = `import { appendFileSync, existsSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

function openSpool() {
  const { MU_AGENT_ID: id = "", MU_STATE_DIR, XDG_STATE_HOME } = process.env;
  if (!/^[A-Za-z0-9_-]+$/.test(id)) return undefined;
  const reporter = \`\${id}:\${process.pid}\`;
  const inherited = process.env.MU_REPORTER;
  if (inherited?.startsWith(\`\${id}:\`) && inherited !== reporter) return undefined;
  process.env.MU_REPORTER = reporter;
  const file = join(MU_STATE_DIR || join(XDG_STATE_HOME || join(homedir(), ".local", "state"), "mu"), "spool", id);
  return (event, payload) => {
    try {
      if (!existsSync(dirname(file))) return;
      const at = (Date.now() / 1000).toFixed(3);
      appendFileSync(file, \`\\u001e\${at} \${event} \${JSON.stringify(payload)}\\n\`, { mode: 0o600 });
    } catch {
      // a full disk must not stop the agent
    }
  };
}
`;

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it, onTestFinished } from "vitest";
import { serveOverHttp } from "./support/mcp-http.js";
import { seededApp } from "./support/seeded.js";

const SUITE = fileURLToPath(
  new URL("../node_modules/@modelcontextprotocol/conformance/dist/index.js", import.meta.url),
);
const [, PAGE = ""] = readFileSync(new URL("../docs/mcp.md", import.meta.url), "utf8").split("## Conformance");

const run = promisify(execFile);

/** The rows of the page: each scenario of the suite with `run`, or with the reason why it is not. */
const listed = new Map(
  [...PAGE.matchAll(/^\| `([a-z0-9-]+)` \| (.+) \|$/gm)].map(([, name, how]) => [name as string, how as string]),
);

it("docs/mcp.md lists every scenario of the conformance suite, as run or with the reason why not", async () => {
  const { stdout } = await run(process.execPath, [SUITE, "list", "--server"]);
  const scenarios = [...stdout.matchAll(/^ {2}- (\S+)/gm)].map(([, name]) => name);
  expect([...listed.keys()]).toEqual(scenarios);
});

it.each([...listed].filter(([, how]) => how === "run"))("%s passes", async (scenario) => {
  const app = await seededApp();
  onTestFinished(app.end);
  const server = await serveOverHttp(app);
  onTestFinished(server.end);
  const { stdout } = await run(process.execPath, [SUITE, "server", "--url", server.url, "--scenario", scenario], {
    cwd: app.request.cwd,
  });
  expect(stdout).toMatch(/Passed: [1-9]\d*\/\d+, 0 failed, 0 warnings/);
});

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { variablesFor } from "../../../src/agents/clis/cli.js";
import { getAgentCli } from "../../../src/agents/clis/table.js";
import { restartAgent } from "../../../src/crew/restart.js";
import { spawnAgent } from "../../../src/crew/spawn.js";
import { type PrivateCrew, privateCrew } from "../../support/crew.js";
import { describeTmux } from "../../support/tmux.js";

describeTmux("the caller's variables", () => {
  let room: PrivateCrew;
  beforeEach(async () => {
    room = await privateCrew();
  });
  afterEach(() => room.dispose());

  it("that its CLI needs reach an agent, also on a server that was started without them; what is missing later is said", async () => {
    const program = join(room.server.dir, "claude");
    writeFileSync(program, "#!/bin/sh\nenv >>variables\nexec cat\n", { mode: 0o755 });
    await room.crew.tmux.openSession("mu-other", "/");
    const caller = room.other({ env: { ANTHROPIC_API_KEY: "secret", HTTPS_PROXY: "http://proxy", CLAUDECODE: "1" } });
    const ref = { workstream: "demo", name: "cleo" };
    const options = { cli: "claude", command: program, cwd: room.server.dir };
    await spawnAgent(caller, ref, options);
    const variables = () => readFileSync(join(room.server.dir, "variables"), "utf8").split("\n");
    expect(variables()).toEqual(expect.arrayContaining(["ANTHROPIC_API_KEY=secret", "HTTPS_PROXY=http://proxy"]));
    expect(variables()).not.toContain("CLAUDECODE=1");
    const set = room.other({ env: { HTTPS_PROXY: "http://proxy" } });
    const again = await restartAgent(set, ref);
    expect(again.beginning).toMatch(/, without ANTHROPIC_API_KEY: not set here$/);
  });

  it("are a list of each CLI", () => {
    const env = {
      ...{ ANTHROPIC_API_KEY: "a", OPENAI_API_KEY: "o", GEMINI_API_KEY: "g", GEMINI_CLI: "1", CODEX_HOME: "c" },
      ...{
        CLAUDE_CODE_SSE_PORT: "1",
        OPENCODE: "1",
        PI_CODING_AGENT: "1",
        no_proxy: "local",
        HOME: "/",
        EMPTY_API_KEY: "",
      },
    };
    const names = (key: string) => Object.keys(variablesFor(getAgentCli(key), env)).sort();
    expect(names("claude")).toEqual(["ANTHROPIC_API_KEY", "no_proxy"]);
    expect(names("codex")).toEqual(["CODEX_HOME", "OPENAI_API_KEY", "no_proxy"]);
    expect(names("gemini")).toEqual(["GEMINI_API_KEY", "no_proxy"]);
    for (const key of ["pi", "opencode"]) {
      expect(names(key)).toEqual(["ANTHROPIC_API_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY", "no_proxy"]);
    }
    expect(names("shell")).toEqual([]);
  });
});

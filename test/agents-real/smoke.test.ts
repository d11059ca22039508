import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { installAgentClis } from "../../scripts/install-agent-clis.js";
import { NETWORK_VARIABLE } from "../../scripts/loopback.js";
import { type FakeModel, startFakeModel } from "../fake-model/server.js";
import { type PrivateTmux, startPrivateTmux } from "../support/private-tmux.js";
import { type AgentHome, writeClaudeHome, writePiHome } from "./homes.js";

const script = {
  conversations: [
    {
      when: /PLEASE RUN (\w+)/,
      turns: [
        ({ captures }: { captures: readonly string[] }) => ({
          text: "I run it.",
          shell: `echo "${captures[1]} in $TMUX_PANE" | tee ${captures[1]}.txt`,
        }),
        ({ toolResult }: { toolResult: string }) => ({ text: `It printed: ${toolResult}` }),
      ],
    },
  ],
};

describe("a real agent CLI runs a scripted command with its own shell tool", () => {
  let room: PrivateTmux;
  let model: FakeModel;

  beforeAll(async () => {
    const { state, line } = await installAgentClis();
    if (state === "failed") throw new Error(line);
    room = startPrivateTmux();
    model = await startFakeModel({ script });
  });
  afterAll(async () => {
    await room?.close();
    await model?.close();
  });

  const homes: Record<string, (folder: string) => AgentHome> = {
    pi: (folder) => writePiHome(folder, { modelUrl: model.url }),
    claude: (folder) => writeClaudeHome(folder, { modelUrl: model.url, project: room.folder, allow: ["Bash"] }),
  };

  test.each(Object.keys(homes))("%s", async (name) => {
    const folder = join(room.folder, `home-${name}`);
    mkdirSync(folder);
    const { command, env, ready } = homes[name]?.(folder) ?? expect.fail("no home");
    const pane = await room.openPane(command, env);
    await room.seen(pane, ready);

    await room.paste(pane, `PLEASE RUN by_${name}`);
    await room.seen(pane, new RegExp(`PLEASE RUN by_${name}`));
    await room.keys(pane, "Enter");
    await room.seen(pane, new RegExp(`It printed: by_${name} in ${pane}`));

    expect(readFileSync(join(room.folder, `by_${name}.txt`), "utf8")).toBe(`by_${name} in ${pane}\n`);
    const asked = model.requests.filter(({ prompt }) => prompt?.includes(`by_${name}`));
    expect(asked.map(({ step, outcome }) => [step, outcome])).toEqual([
      [0, "answered"],
      [1, "answered"],
    ]);
  });

  test("claude, which asks first where its home says so", async () => {
    const folder = join(room.folder, "home-asking");
    const { command, env, ready } = writeClaudeHome(folder, {
      modelUrl: model.url,
      project: room.folder,
      allow: [],
    });
    const pane = await room.openPane(command, env);
    await room.seen(pane, ready);
    await room.paste(pane, "PLEASE RUN by_nobody");
    await room.seen(pane, /PLEASE RUN by_nobody/);
    await room.keys(pane, "Enter");
    await room.seen(pane, /Do you want to proceed\?/);
    expect(existsSync(join(room.folder, "by_nobody.txt"))).toBe(false);
  });

  test.runIf(process.env[NETWORK_VARIABLE] === "loopback")("out of reach of every network but loopback", () => {
    expect(Object.keys(networkInterfaces())).toEqual(["lo"]);
  });
});

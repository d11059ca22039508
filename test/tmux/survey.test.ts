import { afterEach, beforeEach, expect, it } from "vitest";
import { catPane, describeTmux, eventually, type PrivateTmux, privateTmux } from "../support/tmux.js";

describeTmux("surveying panes", () => {
  let server: PrivateTmux;
  beforeEach(() => {
    server = privateTmux();
  });
  afterEach(() => server.dispose());

  it("without a server finds nothing", async () => {
    expect(await server.tmux.survey({ screens: ["%1"] })).toEqual({ panes: [], screens: new Map() });
  });

  it("labels, lists and reads many panes at once, and passes over those that are gone", async () => {
    const panes: string[] = [];
    for (let n = 0; n < 12; n++) panes.push((await catPane(server.tmux, server.dir)).pane);
    for (const pane of panes) await server.tmux.paste({ pane, text: `I am ${pane}` });
    await server.tmux.killPane(panes[4] ?? "");
    const living = panes.filter((_, n) => n !== 4);
    const look = await eventually("all of them", async () => {
      const labels = panes.map((pane) => ({ pane, status: "idle", task: "it's; #[x]" }));
      const found = await server.tmux.survey({ screens: panes, labels });
      return living.every((pane) => found.screens.get(pane)?.lines[0] === `I am ${pane}`) && found;
    });
    expect([...look.screens.keys()]).toEqual(living);
    expect(look.panes.map((pane) => pane.id).sort()).toEqual([...living].sort());
    expect(look.panes.every((pane) => pane.statusLabel === "idle" && pane.taskLabel === "it's; #[x]")).toBe(true);
    expect(await server.tmux.captureScreens(living)).toEqual(look.screens);
    expect(look).not.toHaveProperty("shown");
    const seen = await server.tmux.survey({ screens: living, shown: living[1] });
    expect([seen.shown, seen.screens]).toEqual([look.screens.get(living[1] ?? ""), look.screens]);
    expect(await server.tmux.survey({ shown: panes[4] })).not.toHaveProperty("shown");
  });
});

import xterm from "@xterm/headless";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { openScreen } from "../../src/top/screen.js";

/** A terminal with a text on it, and what it shows. */
function terminal() {
  const term = new xterm.Terminal({ cols: 20, rows: 6, allowProposedApi: true });
  let bytes = 0;
  const write = (text: string) => {
    bytes += text.length;
    term.write(text);
    return true;
  };
  const settle = () => new Promise<void>((resolve) => term.write("", resolve));
  const rows = async () => {
    await settle();
    return Array.from({ length: 6 }, (_, at) => term.buffer.active.getLine(at)?.translateToString(true) ?? "");
  };
  return { write, rows, bytes: () => bytes, settle, term };
}

describe("a screen", () => {
  it("shows each frame as if it was the first, whatever stood there", async () => {
    const row = fc.stringMatching(/^[a-z日 ]{0,20}$/).filter((text) => text.replaceAll("日", "aa").length <= 20);
    const frames = fc.array(fc.array(row, { maxLength: 6 }), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(frames, async (all) => {
        const [one, fresh] = [terminal(), terminal()];
        const screen = openScreen({ write: one.write });
        screen.enter();
        for (const frame of all) screen.draw(frame);
        const alone = openScreen({ write: fresh.write });
        alone.enter();
        alone.draw(all.at(-1) ?? []);
        expect(await one.rows()).toEqual(await fresh.rows());
      }),
      { numRuns: 40 },
    );
  });

  it("writes nothing for a frame that is the same, and only the row that changed", async () => {
    const { write, bytes } = terminal();
    const screen = openScreen({ write });
    screen.enter();
    screen.draw(["one", "two", "three"]);
    const before = bytes();
    screen.draw(["one", "two", "three"]);
    screen.title("");
    expect(bytes()).toBe(before);
    screen.draw(["one", "2", "three"]);
    expect(bytes() - before).toBeLessThan(60);
  });

  it("gives back what was there, with its modes, once", async () => {
    const { write, rows, bytes, term, settle } = terminal();
    write("before\r\n$ ");
    const was = await rows();
    const screen = openScreen({ write });
    screen.enter();
    screen.draw(["one"], { row: 0, column: 1 });
    await settle();
    expect(term.modes.mouseTrackingMode).not.toBe("none");
    screen.leave();
    expect(await rows()).toEqual(was);
    expect(term.modes).toMatchObject({ mouseTrackingMode: "none", bracketedPasteMode: false, wraparoundMode: true });
    const after = bytes();
    screen.leave();
    screen.draw(["late"]);
    expect(bytes()).toBe(after);
  });
});

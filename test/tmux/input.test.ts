import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { pasteText } from "../../src/tmux/input.js";
import { findServer } from "../../src/tmux/panes.js";
import { describeTmux, eventually, type PrivateTmux, privateTmux } from "../support/tmux.js";

describeTmux("typing into a pane", () => {
  let server: PrivateTmux;
  beforeEach(() => {
    server = privateTmux();
  });
  afterEach(() => server.dispose());

  const title = async (pane: string) => (await server.tmux.listPanes()).find(({ id }) => id === pane)?.title;

  /** A program that reads its raw terminal into a file, as a composer would; `bracketed` asks for paste marks. */
  async function reader({ bracketed = "no" as "yes" | "no", agentId = "17" } = {}) {
    const ask = bracketed === "yes" ? "printf '\\033[?2004h';" : "";
    const script = `stty raw -echo; ${ask} printf '\\033]2;ready\\007'; exec cat >got`;
    const { pane } = await server.tmux.openPane({
      session: "mu-demo",
      window: "w",
      cwd: server.dir,
      argv: ["sh", "-c", script],
      identity: { agent: "worker-1", agentId },
    });
    await eventually("the reader", async () => (await title(pane)) === "ready");
    return pane;
  }
  const got = () => readFileSync(join(server.dir, "got"), "utf8");
  const received = (text: string) =>
    eventually("the text", async () => Buffer.byteLength(got()) >= Buffer.byteLength(text) && { text: got() });

  it.each([
    ["ends in a semicolon", "echo a;"],
    ["ends in an escaped semicolon", "echo a\\;"],
    ["is a semicolon", ";"],
    ["starts with a dash", "-l --help -t %0"],
    ["is one byte", "x"],
    ["has quotes, substitutions and formats", 'it\'s "$(id)" `id` #{pane_id} #(id) %H \\ !x ~ *'],
    ["has tabs, lines and blanks at its ends", "  a\tb\n\n\tc  \n"],
    ["is unicode", "日本語 🎉 é ё \u{1f468}\u200d\u{1f469}"],
    ["looks like the names of keys", "Enter C-c Escape"],
  ])("text that %s arrives as it is", async (_, text) => {
    const pane = await reader();
    await server.tmux.paste({ pane, text });
    expect(await received(text)).toEqual({ text });
    expect(await server.raw("list-buffers")).toBe("");
  });

  it("a megabyte arrives as it is", async () => {
    const line = `${"0123456789abcdef".repeat(8)} é;\n`;
    const text = line.repeat(Math.ceil(1_000_000 / Buffer.byteLength(line)));
    const pane = await reader();
    await server.tmux.paste({ pane, text });
    const { text: seen } = await received(text);
    expect(seen === text).toBe(true);
  });

  it("an application that asks for bracketed paste gets one, which the text cannot end", async () => {
    const pane = await reader({ bracketed: "yes" });
    await server.tmux.paste({ pane, text: "a\u001b[201~\rrm -rf x\r\nb\u0003" });
    const text = "\u001b[200~a\nrm -rf x\nb\u001b[201~";
    expect(await received(text)).toEqual({ text });
  });

  it("Enter comes after the text, in the same call", async () => {
    const pane = await reader();
    await server.tmux.paste({ pane, text: "hello", enter: true });
    expect(await received("hello\r")).toEqual({ text: "hello\r" });
  });

  it("a person who is scrolling does not swallow the text", async () => {
    const pane = await reader();
    await server.raw("copy-mode", "-t", pane);
    await server.tmux.paste({ pane, text: "hello", enter: true });
    expect(await received("hello\r")).toEqual({ text: "hello\r" });
    await server.raw("copy-mode", "-t", pane);
    await server.tmux.sendKeys({ pane, keys: ["Enter"] });
    expect(await received("hello\r\r")).toEqual({ text: "hello\r\r" });
    await server.raw("copy-mode", "-t", pane);
    await server.tmux.paste({ pane, text: "!" });
    expect(await server.raw("display-message", "-p", "-t", pane, "#{pane_in_mode}")).toBe("0\n");
  });

  it("keys go by name or by character", async () => {
    const pane = await reader();
    await server.tmux.sendKeys({ pane, keys: ["C-c", "Escape", ";", "'"] });
    await server.tmux.sendKeys({ pane, keys: ["Enter;", "-x", "$(id)", "é"], as: "characters" });
    const text = "\u0003\u001b;'Enter;-x$(id)é";
    expect(await received(text)).toEqual({ text });
  });

  it("the right incarnation gets the text, another one does not", async () => {
    const pane = await reader({ agentId: "a,b}#{x}" });
    await server.tmux.paste({ pane, text: "for you", agentId: "a,b}#{x}" });
    expect(await received("for you")).toEqual({ text: "for you" });
    await expect(server.tmux.paste({ pane, text: "x", agentId: "18" })).rejects.toMatchObject({
      code: "pane.stranger",
    });
    expect(got()).toBe("for you");
  });

  it("a dead pane refuses, and the server lives on", async () => {
    const { pane } = await server.tmux.openPane({ session: "mu-d", window: "w", cwd: server.dir, argv: ["true"] });
    await eventually("death", async () => (await server.tmux.listPanes())[0]?.dead);
    const before = await findServer(server.tmux.run);
    const dead = { kind: "conflict", code: "pane.dead" };
    await expect(server.tmux.paste({ pane, text: "x" })).rejects.toMatchObject(dead);
    for (const as of ["names", "characters"] as const) {
      await expect(server.tmux.sendKeys({ pane, keys: ["41"], as })).rejects.toMatchObject(dead);
    }
    expect(await findServer(server.tmux.run)).toBe(before);
    expect(await server.raw("list-buffers")).toBe("");
  });

  it("a pane that does not exist is missing, and the text is not left lying around", async () => {
    await reader();
    await expect(server.tmux.paste({ pane: "%99", text: "secret" })).rejects.toMatchObject({
      kind: "missing",
      code: "pane.not_found",
    });
    expect(await server.raw("list-buffers")).toBe("");
  });
});

describe("text that may be pasted", () => {
  it.each([
    ["a\r\nb\rc\n", "a\nb\nc\n"],
    ["\u001b[200~x\u001b[201~", "x"],
    ["\u009b201~x", "x"],
    ["\u001b[20\u001b[201~1~x", "[201~x"],
    ["a\tb\u0000\u0007\u001b[31mc\u007f", "a\tb[31mc"],
    ["日本 🎉", "日本 🎉"],
    ["", ""],
  ])("%j becomes %j", (text, clean) => {
    expect(pasteText(text)).toBe(clean);
  });

  it("holds no control character but tab and line feed, and stays what it is", () => {
    const nasty = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom("\u001b", "[201~", "\u009b", "\r", "\n", "20"),
    );
    fc.assert(
      fc.property(fc.array(nasty), (parts) => {
        const clean = pasteText(parts.join(""));
        // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not be there
        expect(clean).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/);
        expect(pasteText(clean)).toBe(clean);
      }),
    );
  });
});

import { existsSync, lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { tmuxInstall, tmuxUninstall, withBlock, withoutBlock } from "../../src/operations/tmux.js";
import { describeTmux, type PrivateTmux, privateTmux } from "../support/tmux.js";

it.each(["", "set -g mouse on\n", "set -g mouse on", "a\n\n", "# >>> mine >>>\n"])(
  "takes out exactly what it put in: %j",
  (text) => {
    const once = withBlock(text);
    expect(once.startsWith(text)).toBe(true);
    expect(withBlock(once)).toBe(once);
    expect(withoutBlock(once) ?? "").toBe(text);
    const more = `${once}set -g base-index 1\n`;
    expect(withBlock(more)).toBe(more);
    expect(withoutBlock(more)).toBe(`${text}${text === "" || text.endsWith("\n") ? "" : "\n"}set -g base-index 1\n`);
    expect(withoutBlock(text)).toBe(text);
  },
);

it("puts today's lines in place of an older version's, where those were", () => {
  const old = `${withBlock("before\n").replace(/^bind-key u .*$/m, "bind-key u old")}after\n`;
  expect(withBlock(old)).toBe(`${withBlock("before\n")}after\n`);
});

describeTmux("mu's part of a tmux configuration", () => {
  let server: PrivateTmux;
  beforeEach(() => {
    server = privateTmux();
  });
  afterEach(() => server.dispose());
  const file = (...path: string[]) => join(server.dir, ...path);
  const call = (verb: typeof tmuxInstall, input: object = {}, env: object = {}) =>
    verb.run({ request: { env: { ...server.env, ...env } } } as never, {
      dryRun: false,
      ...input,
    }) as never as Promise<{
      path: string;
      changed: boolean;
    }>;

  it("is understood by tmux, and says in any session who waits in another", async () => {
    await call(tmuxInstall);
    await server.raw("-f", file(".tmux.conf"), "new-session", "-d", "-s", "mine", "cat");
    await server.raw("source-file", file(".tmux.conf"));
    expect(await server.raw("show-messages")).not.toMatch(/tmux.conf:\d+/);
    expect(await server.raw("list-keys", "-T", "prefix", "u")).toContain("display-popup");
    expect(await server.raw("list-keys", "-T", "prefix", "U")).toContain("mu agent next");
    await server.raw("new-session", "-d", "-s", "mu-shop", "cat");
    const line = async () => (await server.raw("display-message", "-p", "-t", "mine:", "#{T:status-right}")).trim();
    expect(await line()).not.toContain("eve");
    await server.raw("set-option", "-t", "mu-shop:", "@mu_waiting", "! eve");
    expect((await line()).match(/! eve/g)).toHaveLength(1);
  });

  it("goes into the file that is in use, keeps a symbolic link, and leaves no file that was not there", async () => {
    expect(await call(tmuxInstall, { dryRun: true })).toMatchObject({ path: file(".tmux.conf"), changed: true });
    expect(existsSync(file(".tmux.conf"))).toBe(false);
    expect(await call(tmuxInstall)).toMatchObject({ path: file(".tmux.conf"), changed: true });
    expect(await call(tmuxInstall)).toMatchObject({ changed: false });
    expect(await call(tmuxUninstall)).toMatchObject({ changed: true });
    expect(existsSync(file(".tmux.conf"))).toBe(false);
    mkdirSync(file("xdg", "tmux"), { recursive: true });
    mkdirSync(file("dotfiles"));
    writeFileSync(file("dotfiles", "tmux"), "set -g mouse on\n");
    symlinkSync(file("dotfiles", "tmux"), file("xdg", "tmux", "tmux.conf"));
    const env = { XDG_CONFIG_HOME: file("xdg") };
    expect(await call(tmuxInstall, {}, env)).toMatchObject({ path: file("xdg", "tmux", "tmux.conf") });
    expect(lstatSync(file("xdg", "tmux", "tmux.conf")).isSymbolicLink()).toBe(true);
    expect(readFileSync(file("dotfiles", "tmux"), "utf8")).toContain("mu agent next");
    expect(await call(tmuxUninstall, {}, env)).toMatchObject({ changed: true });
    expect(readFileSync(file("dotfiles", "tmux"), "utf8")).toBe("set -g mouse on\n");
    expect(await call(tmuxUninstall, {}, env)).toMatchObject({ changed: false });
  });

  it("is refused where somebody has removed half of it", async () => {
    writeFileSync(file(".tmux.conf"), withBlock("").replace("# <<< mu <<<\n", "bind x kill-server\n"));
    for (const verb of [tmuxInstall, tmuxUninstall])
      await expect(call(verb)).rejects.toMatchObject({ code: "tmux.block_broken" });
  });
});

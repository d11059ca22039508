import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { installService, planService, type Service, uninstallService } from "../../src/dispatch/service.js";
import type { ExecResult } from "../../src/exec.js";
import { temporaryFolder } from "../support/database.js";

let folder: ReturnType<typeof temporaryFolder>;
let asked: string[];
let refused: string | undefined;
beforeEach(() => {
  folder = temporaryFolder();
  [asked, refused] = [[], undefined];
});
afterEach(() => folder.remove());

/** A machine whose service manager notes what it is asked. */
const host = (missing = false) => ({
  env: { HOME: folder.path, XDG_CONFIG_HOME: join(folder.path, "config") },
  exec: async (file: string, args: readonly string[]): Promise<ExecResult> => {
    const words = [file, ...args].join(" ");
    asked.push(words);
    const fails = refused !== undefined && words.includes(refused);
    const end = { stdout: "", timedOut: false };
    if (missing) return { ...end, code: null, stderr: "", notStarted: "ENOENT" };
    return { ...end, code: fails ? 1 : 0, stderr: fails ? "Failed to connect to bus\n" : "" };
  },
});
const service: Service = {
  workstream: "shop",
  cwd: "/srv/50% off",
  argv: ["/usr/bin/node", "/opt/m u/main.cjs", "dispatch", "-w", "shop"],
  env: { PATH: '/bin:/a"b', MU_DB_PATH: "/state/$mu.db" },
};
const unit = () => join(folder.path, "config", "systemd", "user", "mu-dispatch-shop.service");

describe("a dispatcher that the system starts", () => {
  it("is a systemd unit that is written once, enabled, and removed clean", async () => {
    expect(await installService(host(), service, "linux")).toEqual({ path: unit(), changed: true });
    const text = readFileSync(unit(), "utf8");
    expect(text.split("\n")).toEqual(
      expect.arrayContaining([
        "# Written by mu dispatch install; mu dispatch uninstall removes it.",
        "WorkingDirectory=/srv/50%% off",
        'Environment="PATH=/bin:/a\\"b"',
        'Environment="MU_DB_PATH=/state/$mu.db"',
        'ExecStart="/usr/bin/node" "/opt/m u/main.cjs" "dispatch" "-w" "shop"',
        "KillMode=process",
      ]),
    );
    expect(asked.slice(1)).toEqual([
      "systemctl --user daemon-reload",
      "systemctl --user enable mu-dispatch-shop.service",
    ]);
    expect((await installService(host(), service, "linux")).changed).toBe(false);
    expect(await uninstallService(host(), "shop", "linux")).toEqual({ path: unit(), changed: true });
    expect(asked.slice(-2)).toEqual([
      "systemctl --user disable --now mu-dispatch-shop.service",
      "systemctl --user daemon-reload",
    ]);
    expect(existsSync(unit())).toBe(false);
    asked = [];
    expect([(await uninstallService(host(), "shop", "linux")).changed, asked]).toEqual([false, []]);
  });

  it("is a launchd agent on macOS", async () => {
    const { path } = await installService(host(), { ...service, env: { PATH: "/a&b" } }, "darwin");
    expect(path).toBe(join(folder.path, "Library", "LaunchAgents", "mu.dispatch.shop.plist"));
    const text = readFileSync(path, "utf8");
    expect(text).toContain("<key>PATH</key><string>/a&#38;b</string>");
    expect(text).toContain("<string>/opt/m u/main.cjs</string>");
    await uninstallService(host(), "shop", "darwin");
    expect(asked.at(-1)).toMatch(/^launchctl bootout gui\/\d+\/mu\.dispatch\.shop$/);
    expect(existsSync(path)).toBe(false);
  });

  it("is refused where there is no such system or it refuses, and leaves nothing behind", async () => {
    await expect(installService(host(true), service, "linux")).rejects.toMatchObject({ code: "dispatch.no_service" });
    expect(() => planService(host(), service, "win32")).toThrow("neither systemd nor launchd");
    refused = "enable";
    await expect(installService(host(), service, "linux")).rejects.toThrow("Failed to connect to bus");
    expect(existsSync(unit())).toBe(false);
  });

  it("never takes the place of a unit that somebody else wrote", async () => {
    mkdirSync(dirname(unit()), { recursive: true });
    writeFileSync(unit(), "[Unit]\n");
    const foreign = { code: "dispatch.foreign_service" };
    await expect(installService(host(), service, "linux")).rejects.toMatchObject(foreign);
    await expect(uninstallService(host(), "shop", "linux")).rejects.toMatchObject(foreign);
    expect(readFileSync(unit(), "utf8")).toBe("[Unit]\n");
  });
});

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, dirname } from "node:path";
import { type Browser, chromium } from "playwright-core";
import { CODE_CACHE, PROGRAM } from "./cli.js";
import { type Seeded, seededApp } from "./seeded.js";

const PLACES = [process.env["MU_CHROMIUM"], "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const executablePath = PLACES.find((path) => path !== undefined && existsSync(path));

/** Why no page can be opened here; undefined where it can. */
export const noBrowser = executablePath === undefined ? "no Chromium is to be had here" : undefined;

export const openBrowser = (): Promise<Browser> =>
  chromium.launch({ executablePath: executablePath as string, args: ["--no-sandbox"] });

/** A running `mu ui`. */
export interface Ui {
  /** Where it answers, without the token. */
  origin: string;
  /** The address that it has printed. */
  address: string;
  token: string;
  process: ChildProcess;
  end(): Promise<void>;
}

/** Starts `mu ui` of the built program on a seeded project. */
export async function startUi(
  app: Seeded,
  words: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<Ui> {
  const child = spawn(process.execPath, [PROGRAM, "ui", "--no-browser", ...words], {
    cwd: app.request.cwd,
    env: {
      ...app.env,
      TMPDIR: app.folder,
      XDG_CACHE_HOME: CODE_CACHE,
      PATH: [dirname(process.execPath), process.env["PATH"]].join(delimiter),
      ...env,
    },
  });
  let said = "";
  const address = await new Promise<string>((resolve, reject) => {
    child.stderr.on("data", (text) => {
      said += text;
      const [found] = /http:\/\/127\S+/.exec(said) ?? [];
      if (found !== undefined) resolve(found);
    });
    child.once("exit", (code) => reject(new Error(`mu ui ended with ${code}: ${said}`)));
  });
  const { origin, searchParams } = new URL(address);
  return {
    ...{ origin, address, token: searchParams.get("token") ?? "", process: child },
    end: () =>
      new Promise((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) return resolve();
        child.once("exit", () => resolve());
        child.kill("SIGINT");
      }),
  };
}

/** A seeded project of which this process has nothing open, with its page. */
export async function seededUi(
  panes: Parameters<typeof seededApp>[0] = "without panes",
  workspaces: Parameters<typeof seededApp>[1] = "without workspaces",
  words: readonly string[] = [],
): Promise<{ app: Seeded; ui: Ui; end(): Promise<void> }> {
  const app = await seededApp(panes, workspaces);
  const ui = await startUi(app, words);
  return {
    ...{ app, ui },
    async end() {
      await ui.end();
      await app.end();
    },
  };
}

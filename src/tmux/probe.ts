import { OLDEST_TMUX, type Run, runOrFail, tooOld } from "./run.js";

export interface Version {
  major: number;
  minor: number;
  /** As tmux prints it, for example `3.3a`. */
  text: string;
}

export interface Probe {
  version: string;
  supported: boolean;
  features: Readonly<Record<Feature, boolean>>;
}

/** What `mu doctor` checks. Some are newer than the oldest supported tmux, so they are tried, not assumed. */
export type Feature = "exactTargets" | "paneTitles" | "paneDiedHook" | "bracketPasteFlag" | "allowSetTitle";

/** `tmux 3.2a`, `tmux next-3.6`; undefined for builds without a number (`master`, `openbsd-7.5`). */
export function parseVersion(printed: string): Version | undefined {
  const [, text, major, minor] = /^tmux (?:next-)?((\d+)\.(\d+)\w*)/.exec(printed.trim()) ?? [];
  return text === undefined ? undefined : { major: Number(major), minor: Number(minor), text };
}

/** A build without a number is a newer one. */
export function isSupported(version: Version | undefined): boolean {
  if (version === undefined) return true;
  const [major = 0, minor = 0] = OLDEST_TMUX.split(".").map(Number);
  return version.major > major || (version.major === major && version.minor >= minor);
}

/** Faults: `tmux.not_installed`, `tmux.too_old`. */
export async function requireSupported(run: Run): Promise<void> {
  checkVersion(await readVersion(run));
}

/** What `tmux -V` prints must be new enough. Faults: `tmux.too_old`. */
export function checkVersion(printed: string): void {
  const version = parseVersion(printed);
  if (!isSupported(version)) throw tooOld(version?.text ?? "");
}

/** Tries the features on a server of its own; `run` must lead to a socket that nothing else uses. */
export async function probeFeatures(run: Run): Promise<Readonly<Record<Feature, boolean>>> {
  try {
    const target = "=mu-probe:";
    await runOrFail(run, { what: "start a server to try" }, [
      ["new-session", "-d", "-s", "mu-probe", "--", "cat", "-"],
    ]);
    const works = async (command: readonly string[]) => (await run([command])).refusal === undefined;
    const prints = async (text: string) => (await run([["display-message", "-p", "-t", target, text]])).stdout.trim();
    return {
      exactTargets:
        (await works(["has-session", "-t", "=mu-probe"])) && !(await works(["has-session", "-t", "=mu-pro"])),
      paneTitles: (await works(["select-pane", "-t", target, "-T", "t"])) && (await prints("#{pane_title}")) === "t",
      paneDiedHook: await works(["set-hook", "-t", target, "pane-died", "display-message"]),
      bracketPasteFlag: (await prints("#{bracket_paste_flag}")) !== "",
      allowSetTitle: await works(["show-options", "-g", "-w", "allow-set-title"]),
    };
  } finally {
    await run([["kill-server"]]);
  }
}

export async function readVersion(run: Run): Promise<string> {
  return (await runOrFail(run, { what: "ask for the version" }, [["-V"]])).trim();
}

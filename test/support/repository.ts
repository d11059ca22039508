import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execProgram } from "../../src/exec.js";
import type { VcsWorld } from "../../src/vcs/vcs.js";
import { removeTree } from "./database.js";

/** A git repository of the test's own, apart from whatever the machine's user has configured. */
export interface Repository {
  /** The folder that holds all of it; more may be put beside the repository. */
  dir: string;
  root: string;
  /** What git and everything that runs git gets. */
  env: Record<string, string>;
  world: VcsWorld;
  /** git as a person types it, in the repository or in `options.cwd`; throws when it fails. */
  git(...args: string[]): Promise<string>;
  gitIn(cwd: string, ...args: string[]): Promise<string>;
  /** Writes files (content by path below `cwd`, null to remove one) without committing them. */
  write(files: Readonly<Record<string, string | null>>, cwd?: string): void;
  /** Writes files and commits all there is; gives the commit. */
  commit(files: Readonly<Record<string, string | null>>, message?: string, cwd?: string): Promise<string>;
  read(path: string, cwd?: string): string;
  end(): void;
}

/** A repository with one commit of `files` on branch `main`, in a folder whose name has a space. */
export async function newRepository(
  files: Readonly<Record<string, string>> = { "README.md": "hello\n" },
): Promise<Repository> {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "mu-repo-")));
  const root = join(dir, "the project");
  mkdirSync(root);
  const env = {
    PATH: process.env["PATH"] ?? "/usr/bin:/bin",
    HOME: dir,
    XDG_RUNTIME_DIR: dir,
    LC_ALL: "C.UTF-8",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_AUTHOR_NAME: "Ann",
    GIT_AUTHOR_EMAIL: "ann@example.org",
    GIT_COMMITTER_NAME: "Ann",
    GIT_COMMITTER_EMAIL: "ann@example.org",
  };
  const gitIn: Repository["gitIn"] = async (cwd, ...args) => {
    const { code, stdout, stderr } = await execProgram("git", args, { cwd, env });
    if (code !== 0) throw new Error(`git ${args.join(" ")} ended with ${code}: ${stderr}`);
    return stdout.trimEnd();
  };
  const write: Repository["write"] = (changed, cwd = root) => {
    for (const [path, text] of Object.entries(changed)) {
      const file = join(cwd, path);
      if (text === null) rmSync(file);
      if (text === null) continue;
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
  };
  const commit: Repository["commit"] = async (changed, message = "change", cwd = root) => {
    write(changed, cwd);
    await gitIn(cwd, "add", "-A");
    await gitIn(cwd, "commit", "-qm", message);
    return gitIn(cwd, "rev-parse", "HEAD");
  };
  const known = templates.get(JSON.stringify(files));
  if (known !== undefined) {
    for (const entry of known) putBack(root, entry);
  } else {
    await gitIn(root, "init", "-q", "-b", "main");
    await commit(files, "first");
    templates.set(JSON.stringify(files), entriesOf(root));
  }
  return {
    dir,
    root,
    env,
    world: { exec: execProgram, env },
    git: (...args) => gitIn(root, ...args),
    gitIn,
    write,
    commit,
    read: (path, cwd = root) => readFileSync(join(cwd, path), "utf8"),
    end: () => removeTree(dir),
  };
}

/** A file, or a folder where it has no bytes. */
interface Entry {
  path: string;
  mode: number;
  bytes?: Buffer;
}

/** New repositories by the files in them: the second one of its kind takes no git. */
const templates = new Map<string, Entry[]>();

function entriesOf(root: string): Entry[] {
  const paths = readdirSync(root, { recursive: true, encoding: "utf8" }).sort();
  return paths.map((path) => {
    const stat = statSync(join(root, path));
    return { path, mode: stat.mode & 0o777, ...(stat.isFile() && { bytes: readFileSync(join(root, path)) }) };
  });
}

function putBack(root: string, { path, mode, bytes }: Entry): void {
  if (bytes === undefined) mkdirSync(join(root, path), { mode });
  else writeFileSync(join(root, path), bytes, { mode });
}

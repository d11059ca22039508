import { spawnSync } from "node:child_process";

/** Calls that change a file, a folder or a process, or hand bytes to somebody. `clone` starts a process. */
const CALLS = [
  ...["open", "openat", "creat", "write", "writev", "pwrite64", "pwritev", "copy_file_range", "sendfile"],
  ...["fsync", "fdatasync", "ftruncate", "truncate", "fallocate", "rename", "renameat", "renameat2"],
  ...["link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir"],
  ...["chmod", "fchmod", "fchmodat", "utimensat", "kill", "clone", "clone3", "fork", "vfork", "execve"],
];

/** A call of one thread of a program: the `n`th of its name in this thread. */
export interface TracedCall {
  /** The thread that a program begins with is `main`; all others are `pool`. */
  thread: "main" | "pool";
  call: string;
  n: number;
  /** The path that it is about, or what its descriptor is. */
  what: string;
  args: string;
  /** It was given an error. */
  isInjected?: true;
}

/** What happens instead of a call. */
export type Instead = "SIGKILL" | "ENOSPC" | "EIO" | "EMFILE";

type Injection = Pick<TracedCall, "call" | "n"> & { instead: Instead };

/** Why nothing can be traced here; undefined where it can. */
export const noStrace: string | undefined =
  spawnSync("strace", ["-qq", "-o", "/dev/null", "true"]).status === 0 ? undefined : "strace is not to be had here";

/**
 * The words in front of a program that have its calls noted, with a fault at one of them. `alone` leaves out the programs
 * that it starts: a fault counts the calls of each thread for itself, and would meet them too.
 */
export function traced(programs: "alone" | "with children", injection?: Injection): string[] {
  return [
    ...["strace", "-f", "-qq", "-y", "-s", "0", "-e", `trace=${CALLS.join(",")}`, "-e", "signal=none"],
    ...(programs === "alone" ? ["-b", "execve"] : []),
    ...(injection === undefined ? [] : ["-e", faultOf(injection)]),
  ];
}

function faultOf({ call, n, instead }: Injection): string {
  return `inject=${call}:${instead === "SIGKILL" ? "signal" : "error"}=${instead}:when=${n}`;
}

/** The calls in a trace, in the order in which they began. */
export function readTrace(text: string): TracedCall[] {
  const calls: TracedCall[] = [];
  const counts = new Map<string, number>();
  const last = new Map<string, TracedCall>();
  let first: string | undefined;
  for (const line of text.split("\n")) {
    const [, id = "", begun, args = "", ended] = /^(\d+) +(?:(\w+)\((.*)|<\.\.\. (\w+) resumed.*)$/.exec(line) ?? [];
    first ??= id;
    if (begun !== undefined) {
      const n = (counts.get(`${id} ${begun}`) ?? 0) + 1;
      counts.set(`${id} ${begun}`, n);
      const call: TracedCall = { thread: id === first ? "main" : "pool", call: begun, n, what: subjectOf(args), args };
      calls.push(call);
      last.set(id, call);
    }
    const call = (begun ?? ended) === undefined ? undefined : last.get(id);
    if (call !== undefined && line.endsWith("(INJECTED)")) call.isInjected = true;
  }
  return calls;
}

function subjectOf(args: string): string {
  const paths = [...args.matchAll(/"((?:[^"\\]|\\.)+)"/g)].map(([, path]) => path);
  return paths.length > 0 ? paths.join(" → ") : (/^\d+<([^>]*)>/.exec(args)?.[1] ?? "");
}

/** The errors that a call is tried with: a full disk, a broken one, no descriptor left. */
export function errorsOf({ call, args, what }: TracedCall): Instead[] {
  if (call === "execve") return ["EMFILE", "EIO"];
  if (/^(open|creat)/.test(call) && /O_CREAT|O_TRUNC/.test(args)) return ["ENOSPC", "EIO", "EMFILE"];
  if (/^open/.test(call)) return what.startsWith("~/") ? ["EIO", "EMFILE"] : [];
  return /write|copy|sendfile|sync|truncate|allocate|rename|link|mkdir/.test(call) ? ["ENOSPC", "EIO"] : [];
}

/** Whether something outside of the program is changed, so that it makes a difference when it ends before that. */
export function isWriting({ call, args, what }: TracedCall): boolean {
  if (/^(\/dev|\/proc)\//.test(what) || /anon_inode|\/\.cache\//.test(what)) return false;
  if (/^open(at)?$/.test(call)) return /O_CREAT|O_TRUNC/.test(args);
  if (/^clone3?$/.test(call)) return !args.includes("CLONE_THREAD");
  // A pipe that both ends of are in the program only wakes a thread; a child's standard input is a socket.
  if (/^writev?$/.test(call) && !/^[12]</.test(args)) return !what.startsWith("pipe:");
  // What starts a process is its `clone`; by then the program is another one.
  return call !== "execve";
}

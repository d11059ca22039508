import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { isAbsolute, join } from "node:path";
import { Fault } from "../../errors.js";
import { quote } from "../../names.js";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The folder in which all databases of one user say which ports they have leased, one file a port. It is made when it
 * is missing. Faults `port.folder_taken` when it is another user's.
 */
export async function portFolder(env: Environment): Promise<string> {
  const user = process.getuid?.() ?? 0;
  const runtime = env["XDG_RUNTIME_DIR"];
  const folder = runtime ? join(runtime, "mu-ports") : join(env["TMPDIR"] || tmpdir(), `mu-ports-${user}`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if ((await stat(folder)).uid !== user && process.getuid !== undefined)
    throw new Fault("unavailable", "port.folder_taken", `The folder ${quote(folder)} belongs to another user.`);
  return folder;
}

/**
 * Runs `work` while this process listens on the port, on both loopback addresses; undefined when somebody else does.
 * Only one process can, and the kernel lets go of it when the process dies: that makes it the lock of the port's file.
 */
export async function holdPort<T>(port: number, work: () => Promise<T>): Promise<T | undefined> {
  const held: Server[] = [];
  try {
    for (const host of ["127.0.0.1", "::1"]) {
      const server = await listen(host, port);
      if (server === "taken") return undefined;
      if (server !== "no such address") held.push(server);
    }
    return await work();
  } finally {
    await Promise.all(held.map((server) => new Promise((done) => server.close(done))));
  }
}

function listen(host: string, port: number): Promise<Server | "taken" | "no such address"> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", (error: NodeJS.ErrnoException) => {
      const none = ["EADDRNOTAVAIL", "EAFNOSUPPORT", "EINVAL"].includes(error.code ?? "");
      resolve(host === "::1" && none ? "no such address" : "taken");
    });
    server.listen({ host, port, exclusive: true }, () => resolve(server));
  });
}

/** The database that a port's file names; undefined when there is none. Ask while the port is held. */
export async function ownerOf(folder: string, port: number): Promise<string | undefined> {
  const owner = (await readFile(join(folder, String(port)), "utf8").catch(() => "")).trim();
  return owner === "" ? undefined : owner;
}

/** False for the file of a database that is gone; where it cannot be known, it counts as there. */
export function isThere(owner: string): boolean {
  return !isAbsolute(owner) || existsSync(owner);
}

/** Says that the database `owner` has leased the port. Call it while the port is held. */
export async function markPort(folder: string, port: number, owner: string): Promise<void> {
  const draft = join(folder, `.${port}.${process.pid}`);
  await writeFile(draft, `${owner}\n`, { mode: 0o600 });
  await rename(draft, join(folder, String(port)));
}

/** Takes a port's file away. Call it while the port is held. */
export async function unmarkPort(folder: string, port: number): Promise<void> {
  await rm(join(folder, String(port)), { force: true });
}

/** All ports that have a file. */
export async function markedPorts(folder: string): Promise<number[]> {
  const names = await readdir(folder);
  return names.filter((name) => /^\d+$/.test(name)).map(Number);
}

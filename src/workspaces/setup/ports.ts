import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { isAbsolute, join } from "node:path";
import { pollUntil } from "../../clock.js";
import { timestamp } from "../../db/context.js";
import type { Reader } from "../../db/schema.js";
import { Fault } from "../../errors.js";
import type { Host } from "../../host.js";
import { quote } from "../../names.js";

/** What leasing needs of a host. */
type PortWorld = Pick<Host, "context" | "env">;

interface Range {
  from: number;
  to: number;
}

const STANDARD: Range = { from: 20_000, to: 29_999 };

/** Ports of one workspace begin this far from those of the next, so that two that lease at once seldom meet. */
const STRIDE = 16;

/**
 * Sees to it that the workspace has exactly `count` ports, and gives them in order: those it has, and new ones that
 * nobody listens on and no other workspace of this user on this machine has, whatever database it is in. Leases of
 * workspaces that are gone are taken back first. Faults `port.none_left`, `port.invalid_range`.
 */
export async function leasePorts(world: PortWorld, workspaceId: number, count: number): Promise<number[]> {
  const { store } = world.context;
  const range = rangeOf(world.env);
  const kept = await trim(world, workspaceId, count);
  if (count === 0 && kept.length === 0) return kept;
  const folder = await portFolder(world.env);
  await sweep(world, folder);
  const leased = new Set((await store.db.selectFrom("port_leases").select("port").execute()).map((row) => row.port));
  const walk = async () => {
    for (const port of candidates(range, workspaceId)) {
      if (kept.length === count) break;
      if (leased.has(port) || kept.includes(port)) continue;
      if (await leaseOne(world, { folder, port, workspaceId })) kept.push(port);
    }
    return kept.length === count ? kept : undefined;
  };
  // A port that another mu only tries looks taken: when none seems left, it is asked again for a moment.
  const found = await pollUntil(world.context.clock, walk, { everyMs: 100, timeoutMs: 500 });
  if (found === undefined) throw noneLeft(range, count);
  return found.sort((a, b) => a - b);
}

function* candidates({ from, to }: Range, workspaceId: number): Generator<number> {
  const span = to - from + 1;
  const start = (workspaceId * STRIDE) % span;
  for (let step = 0; step < span; step++) yield from + ((start + step) % span);
}

/** Leases that are too many, or whose workspace is no more, go; the ports that stay come back. */
async function trim({ context }: PortWorld, workspaceId: number, count: number): Promise<number[]> {
  const kept = await portsOf(context.store.db, workspaceId);
  const stray = await strayLeases(context.store.db);
  const surplus = kept.splice(count);
  if (stray.length + surplus.length > 0)
    await context.store.write(async (db) => {
      await db
        .deleteFrom("port_leases")
        .where("port", "in", [...stray, ...surplus])
        .execute();
    });
  return kept;
}

async function strayLeases(db: Reader): Promise<number[]> {
  const open = db.selectFrom("workspaces").select("id").where("freed_at", "is", null);
  const rows = await db.selectFrom("port_leases").select("port").where("workspace_id", "not in", open).execute();
  return rows.map((row) => row.port);
}

/** The file first, then the row, both while the port is held: a crash leaves a file too many, never one too few. */
async function leaseOne(
  { context }: PortWorld,
  { folder, port, workspaceId }: { folder: string; port: number; workspaceId: number },
): Promise<boolean> {
  const { store } = context;
  const leased = await holdPort(port, async () => {
    const owner = await ownerOf(folder, port);
    if (owner !== undefined && owner !== store.location && isThere(owner)) return false;
    await markPort(folder, port, store.location);
    const lease = { port, workspace_id: workspaceId, created_at: timestamp(context.clock) };
    const made = await store.write((db) =>
      db
        .insertInto("port_leases")
        .values(lease)
        .onConflict((conflict) => conflict.column("port").doNothing())
        .returning("id")
        .execute(),
    );
    return made.length > 0;
  });
  return leased === true;
}

/** Takes away the files of our own database's leases that are no more, and those of databases that are gone. */
async function sweep({ context }: PortWorld, folder: string): Promise<void> {
  const { db, location } = context.store;
  for (const port of await markedPorts(folder)) {
    const stale = async () => {
      const owner = await ownerOf(folder, port);
      if (owner !== undefined && owner !== location) return !isThere(owner);
      const row = await db.selectFrom("port_leases").select("id").where("port", "=", port).executeTakeFirst();
      return row === undefined;
    };
    if (await stale())
      await holdPort(port, async () => {
        if (await stale()) await unmarkPort(folder, port);
      });
  }
}

/** Gives a workspace's ports back; its files go with the next lease. */
export async function releasePorts(db: Reader, workspaceId: number): Promise<void> {
  await db.deleteFrom("port_leases").where("workspace_id", "=", workspaceId).execute();
}

/** The ports of a workspace, lowest first. */
export async function portsOf(db: Reader, workspaceId: number): Promise<number[]> {
  const rows = await db
    .selectFrom("port_leases")
    .select("port")
    .where("workspace_id", "=", workspaceId)
    .orderBy("port")
    .execute();
  return rows.map((row) => row.port);
}

/** `MU_PORT_0`, `MU_PORT_1` … for what runs in the workspace. */
export function portsEnv(ports: readonly number[]): Record<string, string> {
  return Object.fromEntries(ports.map((port, index) => [`MU_PORT_${index}`, String(port)]));
}

function rangeOf(env: PortWorld["env"]): Range {
  const text = env["MU_PORT_RANGE"];
  if (text === undefined || text === "") return STANDARD;
  const [, from, to] = /^(\d{1,5})-(\d{1,5})$/.exec(text.trim()) ?? [];
  const range = { from: Number(from), to: Number(to) };
  if (range.from >= 1 && range.to <= 65_535 && range.from <= range.to) return range;
  throw new Fault(
    "usage",
    "port.invalid_range",
    `MU_PORT_RANGE is ${quote(text)}; two ports such as 20000-29999 are needed.`,
  );
}

function noneLeft({ from, to }: Range, count: number): Fault {
  return new Fault(
    "unavailable",
    "port.none_left",
    `There are not ${count} free ports between ${from} and ${to} for this workspace.`,
    [
      { intent: "See who has them", command: "mu sql 'select * from port_leases'" },
      { intent: "Take them from elsewhere", command: "export MU_PORT_RANGE=30000-39999" },
    ],
  );
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The folder in which all databases of one user say which ports they have leased, one file a port. It is made when it
 * is missing. Faults `port.folder_taken` when it is another user's.
 */
async function portFolder(env: Environment): Promise<string> {
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
async function holdPort<T>(port: number, work: () => Promise<T>): Promise<T | undefined> {
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
async function ownerOf(folder: string, port: number): Promise<string | undefined> {
  const owner = (await readFile(join(folder, String(port)), "utf8").catch(() => "")).trim();
  return owner === "" ? undefined : owner;
}

/** False for the file of a database that is gone; where it cannot be known, it counts as there. */
function isThere(owner: string): boolean {
  return !isAbsolute(owner) || existsSync(owner);
}

/** Says that the database `owner` has leased the port. Call it while the port is held. */
async function markPort(folder: string, port: number, owner: string): Promise<void> {
  const draft = join(folder, `.${port}.${process.pid}`);
  await writeFile(draft, `${owner}\n`, { mode: 0o600 });
  await rename(draft, join(folder, String(port)));
}

/** Takes a port's file away. Call it while the port is held. */
async function unmarkPort(folder: string, port: number): Promise<void> {
  await rm(join(folder, String(port)), { force: true });
}

/** All ports that have a file. */
async function markedPorts(folder: string): Promise<number[]> {
  const names = await readdir(folder);
  return names.filter((name) => /^\d+$/.test(name)).map(Number);
}

import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { isAbsolute, join } from "node:path";
import { pollUntil } from "../../clock.js";
import { timestamp } from "../../db/context.js";
import type { Reader } from "../../db/schema.js";
import { Fault } from "../../errors.js";
import type { Host } from "../../host.js";
import { counted, quote } from "../../names.js";
import { writeWhole } from "../../whole-file.js";

type PortWorld = Pick<Host, "context" | "env">;

interface Range {
  from: number;
  to: number;
}

const STANDARD: Range = { from: 20_000, to: 29_999 };

/** The distance between the first ports of two workspaces, so that concurrent leases seldom conflict. */
const STRIDE = 16;

/**
 * Makes the workspace have exactly `count` ports, in order. New ones are free and not leased by any workspace of this
 * user on this machine, in any database. Releases the ports of closed workspaces first. Faults `port.none_left`,
 * `port.invalid_range`.
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
  // A port that another mu is probing looks taken, so retry for a moment.
  const found = await pollUntil(world.context.clock, walk, { everyMs: 100, timeoutMs: 500 });
  if (found === undefined) throw noneLeft(range, count);
  return found.sort((a, b) => a - b);
}

function* candidates({ from, to }: Range, workspaceId: number): Generator<number> {
  const span = to - from + 1;
  const start = (workspaceId * STRIDE) % span;
  for (let step = 0; step < span; step++) yield from + ((start + step) % span);
}

/** Releases surplus leases and those of closed workspaces; gives the workspace's remaining ports. */
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

/** Writes the file, then the row, both while listening on the port: a crash may leave a surplus file. */
async function leaseOne(
  { context }: PortWorld,
  { folder, port, workspaceId }: { folder: string; port: number; workspaceId: number },
): Promise<boolean> {
  const { store } = context;
  const leased = await holdPort(port, async () => {
    const owner = await ownerOf(folder, port);
    if (owner !== undefined && owner !== store.location && databaseExists(owner)) return false;
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

/** Deletes the files of released leases, and of databases that no longer exist. */
async function sweep({ context }: PortWorld, folder: string): Promise<void> {
  const { db, location } = context.store;
  for (const port of await markedPorts(folder)) {
    const stale = async () => {
      const owner = await ownerOf(folder, port);
      if (owner !== undefined && owner !== location) return !databaseExists(owner);
      const row = await db.selectFrom("port_leases").select("id").where("port", "=", port).executeTakeFirst();
      return row === undefined;
    };
    if (await stale())
      await holdPort(port, async () => {
        if (await stale()) await rm(join(folder, String(port)), { force: true });
      });
  }
}

export async function portsOf(db: Reader, workspaceId: number): Promise<number[]> {
  const rows = await db
    .selectFrom("port_leases")
    .select("port")
    .where("workspace_id", "=", workspaceId)
    .orderBy("port")
    .execute();
  return rows.map((row) => row.port);
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
    `MU_PORT_RANGE is ${quote(text)}; it must be a range such as 20000-29999.`,
  );
}

function noneLeft({ from, to }: Range, count: number): Fault {
  return new Fault(
    "unavailable",
    "port.none_left",
    `Fewer than ${counted(count, "port")} between ${from} and ${to} are free.`,
    [
      { intent: "List leased ports", command: "mu sql 'select * from port_leases'" },
      { intent: "Use another range", command: "export MU_PORT_RANGE=30000-39999" },
    ],
  );
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The folder with one file per leased port, shared by all databases of a user. Faults `port.folder_taken`. */
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
 * Runs `work` while this process listens on the port, on both loopback addresses; undefined if the port is taken. This
 * is the lock of the port's file: only one process can listen, and the kernel releases the port if it dies.
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

/** The database in a port's file, if any. Call while holding the port. */
async function ownerOf(folder: string, port: number): Promise<string | undefined> {
  const owner = (await readFile(join(folder, String(port)), "utf8").catch(() => "")).trim();
  return owner === "" ? undefined : owner;
}

/** False if the database's file no longer exists; true if that cannot be known. */
function databaseExists(owner: string): boolean {
  return !isAbsolute(owner) || existsSync(owner);
}

/** Records that the database `owner` has leased the port. Call while holding the port. */
async function markPort(folder: string, port: number, owner: string): Promise<void> {
  await writeWhole(join(folder, String(port)), `${owner}\n`);
}

async function markedPorts(folder: string): Promise<number[]> {
  const names = await readdir(folder);
  return names.filter((name) => /^\d+$/.test(name)).map(Number);
}

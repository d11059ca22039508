import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Context } from "../../src/db/context.js";
import { execProgram } from "../../src/exec.js";
import { leasePorts, portsOf } from "../../src/workspaces/setup/ports.js";
import { bundleChild } from "../support/child.js";
import { contextOn, describeOnce, onEachDialect, openTestStore, temporaryFolder } from "../support/database.js";
import { reservedRow } from "../support/workspace-setup.js";

let folder: ReturnType<typeof temporaryFolder>;
let env: Record<string, string>;
beforeEach(() => {
  folder = temporaryFolder();
  env = { XDG_RUNTIME_DIR: folder.path };
});
afterEach(() => folder.remove());

const workspace = async (context: Context, agent: string) =>
  (await reservedRow(context, { root: "/project", path: `/spaces/${agent}`, agent })).id;
const files = () => readdirSync(join(folder.path, "mu-ports")).map(Number);

/** Listens on a port of the loopback until `end`. */
async function occupy(host: string, port = 0): Promise<{ port: number; end: () => Promise<unknown> }> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(port, host, done));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { port: address.port, end: () => new Promise((done) => server.close(done)) };
}

onEachDialect("the ports of workspaces", (bench) => {
  const world = (more: Record<string, string> = {}) => ({ context: bench.context, env: { ...env, ...more } });

  it("are its own, stay the same, and shrink and grow on demand", async () => {
    const [ann, bob] = [await workspace(bench.context, "ann"), await workspace(bench.context, "bob")];
    const first = await leasePorts(world(), ann, 3);
    expect(new Set([...first, ...(await leasePorts(world(), bob, 3))]).size).toBe(6);
    expect(await leasePorts(world(), ann, 3)).toEqual(first);
    expect(await leasePorts(world(), ann, 1)).toEqual(first.slice(0, 1));
    const { db } = bench.context.store;
    expect(await portsOf(db, ann)).toEqual(first.slice(0, 1));
    expect(first.every((port) => port >= 20_000 && port <= 29_999)).toBe(true);
    await leasePorts(world(), ann, 0);
    expect(await portsOf(db, ann)).toEqual([]);
  });

  it("are released, with their files, if the workspace is gone", async () => {
    const range = { MU_PORT_RANGE: "29000-29001" };
    const [ann, bob] = [await workspace(bench.context, "ann"), await workspace(bench.context, "bob")];
    await leasePorts(world(range), ann, 2);
    await expect(leasePorts(world(range), bob, 1)).rejects.toMatchObject({
      code: "port.none_left",
      kind: "unavailable",
    });
    const gone = { freed_at: new Date().toISOString() };
    await bench.context.store.db.updateTable("workspaces").set(gone).where("id", "=", ann).execute();
    expect(await leasePorts(world(range), bob, 1)).toHaveLength(1);
    expect(files()).toHaveLength(1);
  });

  it("exclude ports that are in use on either loopback address", async () => {
    const four = await occupy("127.0.0.1");
    const six = await occupy("::1").catch(() => undefined);
    const id = await workspace(bench.context, "ann");
    for (const taken of six === undefined ? [four] : [four, six]) {
      const range = { MU_PORT_RANGE: `${taken.port}-${taken.port}` };
      await expect(leasePorts(world(range), id, 1)).rejects.toMatchObject({ code: "port.none_left" });
      await taken.end();
      await leasePorts(world(range), id, 1);
      await leasePorts(world(range), id, 0);
    }
  });

  it("come from a range that can be", async () => {
    const id = await workspace(bench.context, "ann");
    for (const range of ["x", "30-20", "0-5", "1-70000", "1..2"])
      await expect(leasePorts(world({ MU_PORT_RANGE: range }), id, 1)).rejects.toMatchObject({
        code: "port.invalid_range",
      });
    expect(await leasePorts(world(), id, 0)).toEqual([]);
  });
});

describeOnce("ports of several databases of one user", () => {
  const open = async (name: string) => {
    const store = await openTestStore(join(folder.path, name));
    return { context: contextOn(store), store };
  };
  const range = { MU_PORT_RANGE: "29100-29103" };

  it("never overlap until a database is gone or has released them", async () => {
    const [one, two] = [await open("one.db"), await open("two.db")];
    const [ann, bob] = [await workspace(one.context, "ann"), await workspace(two.context, "bob")];
    const world = (context: Context) => ({ context, env: { ...env, ...range } });
    const theirs = await leasePorts(world(one.context), ann, 3);
    const ours = await leasePorts(world(two.context), bob, 1);
    expect(new Set([...theirs, ...ours]).size).toBe(4);
    await expect(leasePorts(world(two.context), bob, 2)).rejects.toMatchObject({ code: "port.none_left" });

    await leasePorts(world(one.context), ann, 0);
    await leasePorts(world(one.context), ann, 2);
    expect(await leasePorts(world(two.context), bob, 2)).toHaveLength(2);

    await one.store.close();
    rmSync(join(folder.path, "one.db"));
    expect(await leasePorts(world(two.context), bob, 4)).toHaveLength(4);
    await two.store.close();
  });

  it("survive files that say nothing", async () => {
    const { context, store } = await open("one.db");
    mkdirSync(join(folder.path, "mu-ports"));
    for (const name of ["29100", "29101", "not a port", ".29102.1"])
      writeFileSync(join(folder.path, "mu-ports", name), "");
    const id = await workspace(context, "ann");
    expect(await leasePorts({ context, env: { ...env, ...range } }, id, 4)).toHaveLength(4);
    await store.close();
  });

  it("are never the same for many processes at once, in one database and in another", async () => {
    const child = await bundleChild(folder.path, "port-child");
    const databases: { file: string; ids: number[] }[] = [];
    for (const name of ["one.db", "two.db"]) {
      const { context, store } = await open(name);
      const ids: number[] = [];
      for (const agent of ["a", "b", "c", "d"]) ids.push(await workspace(context, agent));
      await store.close();
      databases.push({ file: join(folder.path, name), ids });
    }
    // The same few ports for all, so that they meet.
    const options = { env: { PATH: process.env["PATH"], ...env, MU_PORT_RANGE: "29200-29215" } };
    const runs = databases.flatMap(({ file, ids }) =>
      ids.map((id) => execProgram(process.execPath, [child, file, String(id), "2"], options)),
    );
    const ended = await Promise.all(runs);
    expect(ended.map(({ code, stderr }) => [code, stderr])).toEqual(ended.map(() => [0, ""]));
    const ports = ended.flatMap(({ stdout }) => JSON.parse(stdout) as number[]);
    expect(ports).toHaveLength(16);
    expect(new Set(ports).size).toBe(16);
    expect(existsSync(join(folder.path, "mu-ports", String(ports[0])))).toBe(true);
  }, 60_000);
});

import { spawn, spawnSync } from "node:child_process";
import { chownSync, existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "./database.js";

/** A PostgreSQL server of our own, reached by a socket in a temporary folder. */
export interface Server {
  url: string;
  end(): Promise<void>;
}

const INSTALLED = "/usr/lib/postgresql";

/** Debian's place of the newest installed server's programs; undefined without one. */
export function postgresPrograms(): string | undefined {
  const versions = existsSync(INSTALLED) ? readdirSync(INSTALLED).sort((a, b) => Number(b) - Number(a)) : [];
  return versions.map((version) => join(INSTALLED, version, "bin")).find((bin) => existsSync(join(bin, "initdb")));
}

/** Makes a server and starts it. It refuses to run as root, so that root lends it to nobody. */
export async function startPostgres(bin: string): Promise<Server> {
  const folder = temporaryFolder();
  const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  if (user.uid !== undefined) chownSync(folder.path, user.uid, user.gid);
  const data = join(folder.path, "data");
  const made = spawnSync(join(bin, "initdb"), ["-D", data, "-A", "trust", "-U", "mu", "-E", "UTF8", "--no-sync"], {
    ...user,
    encoding: "utf8",
    cwd: folder.path,
  });
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`);
  const server = spawn(
    join(bin, "postgres"),
    ["-D", data, "-k", folder.path, "-c", "listen_addresses=", "-c", "fsync=off"],
    { ...user, cwd: folder.path, stdio: ["ignore", "ignore", "pipe"] },
  );
  const over = new Promise<void>((resolve) => server.once("close", () => resolve()));
  await new Promise<void>((resolve, reject) => {
    let said = "";
    server.stderr.on("data", (part) => {
      said += part;
      if (said.includes("ready to accept connections")) resolve();
    });
    void over.then(() => reject(new Error(`the server did not start: ${said}`)));
  });
  return {
    url: `postgres://mu@localhost/postgres?host=${folder.path}`,
    end: () => {
      server.kill("SIGINT");
      return over.then(folder.remove);
    },
  };
}

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type ServerType, serve } from "@hono/node-server";
import { Fault } from "../errors.js";
import type { App, UiOptions } from "../operations/app.js";
import { sceneOf } from "../operations/dispatch/world.js";
import type { World } from "../operations/execute.js";
import { serverWorld } from "../operations/serving.js";
import { newAccess } from "./access.js";
import { createWebApp } from "./app.js";

/** The ports that are tried, one after the other; ai-producer's page began at the same. */
const FIRST_PORT = 5050;
const LAST_PORT = 5149;

/** What the page is made of, in the folder beside the program. */
const FILES = {
  "index.html": "text/html; charset=utf-8",
  "page.js": "text/javascript",
  "page.css": "text/css",
  "icon.svg": "image/svg+xml",
};

/** Serves the page on loopback until the request ends. */
export async function serveUi(
  world: World,
  app: App,
  { port, allowed }: Omit<UiOptions, "browser">,
  told: (address: string) => void,
): Promise<void> {
  const { signal, env } = app.request;
  const scope = env["MU_WORKSTREAM"];
  const publicUrl = scope === undefined ? "" : (await sceneOf(app, scope)).settings.ui.publicUrl;
  const { serving, close } = serverWorld(world);
  const listening = await listen(port);
  const access = newAccess(listening.port, publicUrl);
  const web = await createWebApp(app, serving, { access, allowed, files: readFiles(join(import.meta.dirname, "web")) });
  listening.answer(web.fetch);
  told(`http://127.0.0.1:${listening.port}/?token=${access.token}`);
  if (publicUrl !== "") app.request.remark(`By your tunnel: ${publicUrl}/?token=${access.token}`);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await web.close();
  await listening.close();
  await close();
}

/** The page's files, as they are when the server starts. */
function readFiles(folder: string): Map<string, { type: string; text: string }> {
  return new Map(
    Object.entries(FILES).map(([name, type]) => [name, { type, text: readFileSync(join(folder, name), "utf8") }]),
  );
}

type Fetch = Parameters<typeof serve>[0]["fetch"];

/** Takes a port before anything is answered, so that the address is known to the first answer. */
async function listen(wanted: number | undefined) {
  let answer: Fetch = () => new Response("", { status: 503 });
  const ports =
    wanted === undefined ? Array.from({ length: LAST_PORT - FIRST_PORT + 1 }, (_, n) => FIRST_PORT + n) : [wanted];
  for (const port of ports) {
    const server = await tryPort(port, (...call) => answer(...call));
    if (server === undefined) continue;
    return {
      port,
      answer(fetch: Fetch) {
        answer = fetch;
      },
      close: () =>
        new Promise<void>((resolve) => {
          server.close(() => resolve());
          if ("closeAllConnections" in server) server.closeAllConnections();
        }),
    };
  }
  const what =
    wanted === undefined ? `All ports from ${FIRST_PORT} to ${LAST_PORT} are taken.` : `Port ${wanted} is taken.`;
  throw new Fault("unavailable", "ui.port_taken", `${what} Name a free one with --port.`);
}

function tryPort(port: number, fetch: Fetch): Promise<ServerType | undefined> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch, port, hostname: "127.0.0.1" }, () => resolve(server));
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(undefined);
      else if (error.code === "EACCES")
        reject(new Fault("unavailable", "ui.port_taken", `Port ${port} is not for you. Name one above 1023.`));
      else reject(error);
    });
  });
}

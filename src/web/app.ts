import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { secureHeaders } from "hono/secure-headers";
import { streamSSE } from "hono/streaming";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { newGroup } from "../db/context.js";
import type { Reader } from "../db/schema.js";
import { bugFault, Fault, type FaultKind, insteadOfFault, knownFault } from "../errors.js";
import { previewUndo } from "../journal/undo/undo.js";
import { quote } from "../names.js";
import type { App, Request } from "../operations/app.js";
import { execute, type World } from "../operations/execute.js";
import { findOperation } from "../operations/index.js";
import type { Operation } from "../operations/operation.js";
import type { UiGroup } from "../operations/verb.js";
import { isObject } from "../shape.js";
import { VERSION } from "../version.js";
import { type Access, guard } from "./access.js";
import { type Feed, type News, openFeed } from "./feed.js";
import { graphOf } from "./graph.js";
import { isReading, lineOf, verbsOf } from "./verbs.js";

export interface WebOptions {
  access: Access;
  /** What the page may do; `[]` for nothing. */
  allowed: readonly UiGroup[];
  /** The files that the page is made of, by name. */
  files: ReadonlyMap<string, { type: string; text: string }>;
}

/** The longest input of an action, in bytes. */
const MOST_INPUT = 1 << 20;
/** So often a page that is told nothing hears that the server is there, in ms. */
const BEAT_MS = 15_000;

const STATUS: Readonly<Record<FaultKind, ContentfulStatusCode>> = {
  ...{ usage: 400, missing: 404, conflict: 409, negative: 409, unavailable: 503, internal: 500 },
};

/**
 * The server's answers: a page, what verbs of mu read and do, and the news. Whatever a page reads or does goes through
 * `execute`, as it does for every other surface; who asks is the one who started the server.
 */
export async function createWebApp(app: App, world: World, { access, allowed, files }: WebOptions) {
  const ended = new AbortController();
  const over = AbortSignal.any([app.request.signal, ended.signal]);
  const feed = await openFeed(await app.crew(), over);
  const actions = verbsOf(allowed);
  const { stdin: _, terminal: __, endAtSignals: ___, ...offered } = app.request;
  const requestFor = (signal: AbortSignal): Request => ({ ...offered, json: true, signal });
  const read = async (name: string, input: Record<string, unknown>, signal: AbortSignal) => {
    const operation = isReading(name, input) ? await findOperation(name) : undefined;
    if (operation === undefined) throw noVerb(name);
    return execute(operation, input, world, requestFor(AbortSignal.any([signal, over])));
  };

  const web = new Hono();
  web.use(
    secureHeaders({
      contentSecurityPolicy: {
        ...{ defaultSrc: ["'none'"], scriptSrc: ["'self'"], styleSrc: ["'self'"], connectSrc: ["'self'"] },
        ...{ imgSrc: ["'self'", "data:"], baseUri: ["'none'"], formAction: ["'none'"], frameAncestors: ["'none'"] },
      },
      referrerPolicy: "no-referrer",
    }),
  );
  web.use(guard(access));
  web.onError((error, c) => {
    const fault = knownFault(error) ?? bugFault(String(error));
    return c.json(fault.toJSON(), STATUS[fault.kind]);
  });

  web.get("/api/me", (c) =>
    c.json({
      version: VERSION,
      you: app.caller.name,
      workstream: app.request.env["MU_WORKSTREAM"] ?? null,
      allowed: [...actions],
    }),
  );
  web.get("/api/state", async (c) =>
    c.json(await producerState(c.req.query("w"), (name, input) => read(name, input, c.req.raw.signal))),
  );
  web.get("/api/read/:verb", async (c) =>
    c.json((await read(c.req.param("verb"), inputOf(c.req.query("input")), c.req.raw.signal)) as object),
  );
  web.get("/api/graph", async (c) => c.json(await graphOf(app.context, c.req.query("w") ?? "", feed.newest())));
  web.post(
    "/api/do/:verb",
    bodyLimit({ maxSize: MOST_INPUT, onError: (c) => c.json(tooLarge().toJSON(), 413) }),
    async (c) => {
      const name = c.req.param("verb");
      const operation = actions.has(name) ? await findOperation(name) : undefined;
      if (operation === undefined) throw notAllowed(name);
      const input = inputOf(await c.req.text());
      const group = newGroup();
      // A page that is closed in the middle takes nothing back.
      const request = { ...requestFor(over), group };
      const result = await execute(singleOf(operation), input, world, request);
      const undoable = name !== "undo" && actions.has("undo") && (await isUndoable(app.context.store.db, group));
      return c.json({ result, line: lineOf(verbNamed(world, name), input), group, undoable });
    },
  );
  web.get("/api/events", (c) => {
    const asked = Number(c.req.header("last-event-id") ?? c.req.query("since") ?? feed.newest());
    const since = Number.isSafeInteger(asked) ? asked : feed.newest();
    return streamSSE(c, (stream) => tellPage(stream, feed, { since, workstream: c.req.query("w") ?? "" }, over));
  });
  web.get("*", (c) => {
    if (c.req.path.startsWith("/api/")) return c.json(noVerb(c.req.path).toJSON(), 404);
    const file = files.get(c.req.path.slice(1)) ?? files.get("index.html");
    return file === undefined
      ? c.notFound()
      : c.body(file.text, 200, { "content-type": file.type, "cache-control": "no-cache" });
  });

  return {
    fetch: web.fetch,
    async close() {
      ended.abort();
      await feed.close();
    },
  };
}

/** Whether `mu undo` takes back what an action has done: also one that has changed nothing has not. */
const isUndoable = (db: Reader, group: string) =>
  previewUndo(db, group).then(({ superseded }) => superseded.length === 0, insteadOfFault(false));

const singleOf = (operation: Operation) => operation.single ?? operation;

const verbNamed = ({ program }: World, name: string) =>
  program.registry.verbs.find((verb) => verb.name === name) as (typeof program.registry.verbs)[number];

function inputOf(text: string | undefined): Record<string, unknown> {
  if (text === undefined || text === "") return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Fault("usage", "web.invalid_input", "The input is no JSON.");
  }
  if (!isObject(value)) throw new Fault("usage", "web.invalid_input", "The input is no JSON object.");
  return value;
}

const tooLarge = () =>
  new Fault(
    "usage",
    "web.too_large",
    `An input may have ${MOST_INPUT} bytes. Use a file and the command line for more.`,
  );

const noVerb = (name: string) => new Fault("missing", "web.no_such_read", `Nothing is read by ${quote(name)}.`);

const notAllowed = (name: string) =>
  new Fault(
    "conflict",
    "web.not_allowed",
    `This page may not do ${quote(name)}. Run it in a shell, or start mu ui without --read-only and --allow.`,
  );

/** What ai-producer's page was told: the queue, money, what happened, what waits for a person, and the brake. */
async function producerState(
  w: string | undefined,
  read: (verb: string, input: Record<string, unknown>) => Promise<unknown>,
) {
  const scope = w === undefined ? {} : { workstream: w };
  type Asked = { items: { kind: string; question: string }[] };
  const inbox = (await read("inbox", scope)) as Asked;
  const brake = inbox.items.find(({ kind }) => kind === "brake");
  const [queue, budget, log] = await Promise.all([
    read("task.list", { ...scope, status: ["OPEN", "IN_PROGRESS"], sort: "ready" }),
    read("budget", scope),
    read("log", { ...scope, limit: 50 }),
  ]);
  return {
    queue: (queue as { items: unknown[] }).items,
    budget,
    events: (log as { items: unknown[] }).items,
    notifications: inbox.items,
    kill: { on: brake !== undefined, reason: brake?.question ?? null },
  };
}

type Stream = Parameters<Parameters<typeof streamSSE>[1]>[0];

/** Tells a page what it has missed, and then what happens, until either end. */
async function tellPage(
  stream: Stream,
  feed: Feed,
  { since, workstream }: { since: number; workstream: string },
  over: AbortSignal,
) {
  const waiting: (News | { type: "beat" })[] = [];
  let wake = () => {};
  const beat = setInterval(() => {
    waiting.push({ type: "beat" });
    wake();
  }, BEAT_MS);
  const unsubscribe = feed.subscribe(workstream, (news) => {
    waiting.push(news);
    wake();
  });
  const end = () => wake();
  over.addEventListener("abort", end);
  stream.onAbort(end);
  const gone = () => stream.writeSSE({ event: "gone", data: "", id: String(feed.newest()) });
  try {
    const missed = await feed.after(since);
    if (missed === undefined) await gone();
    await stream.writeSSE({ event: "hello", data: VERSION });
    let told = since;
    const tell = async (news: (typeof waiting)[number]) => {
      if (news.type === "beat") return stream.writeSSE({ event: "beat", data: "" });
      if (news.type === "crew") return stream.writeSSE({ event: "crew", data: news.workstream });
      if (news.type === "gone") {
        told = 0;
        return gone();
      }
      const { entry } = news;
      if (entry.id <= told) return;
      told = entry.id;
      if (entry.workstream !== null && entry.workstream !== workstream && workstream !== "") return;
      const { payload: _, ...data } = entry;
      await stream.writeSSE({ event: "entry", id: String(entry.id), data: JSON.stringify(data) });
    };
    for (const entry of missed ?? []) await tell({ type: "entry", entry });
    if (missed === undefined) told = feed.newest();
    while (!stream.aborted && !stream.closed && !over.aborted) {
      for (const news of waiting.splice(0)) await tell(news);
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (waiting.length > 0 || stream.aborted || over.aborted) resolve();
      });
    }
  } finally {
    clearInterval(beat);
    over.removeEventListener("abort", end);
    unsubscribe();
  }
}

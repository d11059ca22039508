import { useEffect, useState } from "preact/hooks";
import type { LogEntry } from "../../journal/log.js";

/** Who looks, and what they may do. */
export interface Me {
  version: string;
  you: string;
  workstream: string | null;
  allowed: string[];
}

/** What the server says cannot be done, with the lines of mu that help. */
export class Refusal extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly nextSteps: { intent: string; command: string }[] = [],
  ) {
    super(message);
  }
}

async function answerOf<T>(response: Response): Promise<T> {
  const text = await response.text();
  if (response.ok) return JSON.parse(text);
  if (!text.startsWith("{")) throw new Refusal("web.refused", text || response.statusText);
  const { code, message, nextSteps } = JSON.parse(text);
  throw new Refusal(code, message, nextSteps);
}

const unreachable = () => {
  throw new Refusal("web.unreachable", "The server does not answer. Is mu ui still running?");
};

export const get = <T>(path: string, signal: AbortSignal | null = null) =>
  fetch(path, { signal })
    .catch(unreachable)
    .then(answerOf<T>);

/** What came of an action: the line that a person would have typed, and whether `mu undo` takes it back. */
export interface Done<T> {
  result: T;
  line: string;
  group: string;
  undoable: boolean;
}

export const post = <T>(verb: string, input: object) =>
  fetch(`/api/do/${verb}`, { method: "POST", body: JSON.stringify(input) })
    .catch(unreachable)
    .then(answerOf<Done<T>>);

/** How fresh the page is: `live`, or since when (ms) it has heard nothing; `asleep` while nobody looks. */
export type Freshness = "live" | "asleep" | number;

export type Entry = Omit<LogEntry, "payload">;

type Listener = (what: "entry" | "crew" | "all", entry?: Entry) => void;

const listeners = new Set<Listener>();
const watchers = new Set<() => void>();
let freshness: Freshness = "asleep";
/** The server says at least that it is there each 15 s. */
const SILENT_MS = 40_000;

const tell: Listener = (what, entry) => {
  for (const listener of listeners) listener(what, entry);
};

function setFreshness(now: Freshness): void {
  if (freshness === now || (typeof freshness === "number" && typeof now === "number")) return;
  freshness = now;
  for (const watch of watchers) watch();
}

/** Follows a workstream's news while the page is visible; gives the end of it. */
export function follow(workstream: string): () => void {
  let source: EventSource | undefined;
  let last: string | undefined;
  let silence: ReturnType<typeof setTimeout> | undefined;
  let hasBegun = false;
  const heard = () => {
    setFreshness("live");
    clearTimeout(silence);
    silence = setTimeout(() => setFreshness(Date.now()), SILENT_MS);
  };
  const open = () => {
    if (source !== undefined || document.hidden) return;
    const since = last === undefined ? "" : `&since=${last}`;
    source = new EventSource(`/api/events?w=${encodeURIComponent(workstream)}${since}`);
    source.addEventListener("hello", () => {
      heard();
      // What agents did meanwhile is in no entry.
      if (hasBegun) tell("all");
      hasBegun = true;
    });
    source.addEventListener("beat", heard);
    source.addEventListener("crew", () => {
      heard();
      tell("crew");
    });
    source.addEventListener("gone", ({ lastEventId }) => {
      last = lastEventId;
      tell("all");
    });
    source.addEventListener("entry", ({ data, lastEventId }) => {
      heard();
      last = lastEventId;
      tell("entry", JSON.parse(data));
    });
    source.addEventListener("error", () => {
      setFreshness(Date.now());
      // A browser gives up where the server answers with a refusal, as one that was started again does.
      if (source?.readyState === EventSource.CLOSED) {
        source = undefined;
        setTimeout(open, 2_000);
      }
    });
  };
  const close = () => {
    source?.close();
    source = undefined;
    clearTimeout(silence);
  };
  const turn = () => {
    if (!document.hidden) return open();
    close();
    setFreshness("asleep");
  };
  document.addEventListener("visibilitychange", turn);
  open();
  return () => {
    document.removeEventListener("visibilitychange", turn);
    close();
  };
}

export function useFreshness(): Freshness {
  const [, redraw] = useState(0);
  useEffect(() => {
    const watch = () => redraw((n) => n + 1);
    watchers.add(watch);
    return () => void watchers.delete(watch);
  }, []);
  return freshness;
}

export interface Reading<T> {
  value: T | undefined;
  refusal: Refusal | undefined;
  reload(): void;
}

/** Between two readings of one thing, in ms: a burst of entries is one change to a reader. */
const PAUSE_MS = 250;

/** What a verb says, read again whenever something has happened; `undefined` as the path reads nothing. */
export function useGet<T>(path: string | undefined, { everyMs }: { everyMs?: number } = {}): Reading<T> {
  const [known, setKnown] = useState<{ path: string; value?: T; refusal?: Refusal }>();
  const [asked, ask] = useState<() => void>(() => () => {});
  useEffect(() => {
    if (path === undefined) return;
    const over = new AbortController();
    let [isReading, isAsked] = [false, false];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const run = async () => {
      if (isReading) {
        isAsked = true;
        return;
      }
      isReading = true;
      isAsked = false;
      try {
        const value = await get<T>(path, over.signal);
        if (!over.signal.aborted) setKnown({ path, value });
      } catch (error) {
        if (!over.signal.aborted)
          setKnown((was) => ({ ...(was?.path === path ? was : { path }), refusal: error as Refusal }));
      }
      timer = setTimeout(() => {
        isReading = false;
        if (isAsked && !over.signal.aborted) void run();
      }, PAUSE_MS);
    };
    const listener: Listener = () => void run();
    listeners.add(listener);
    const beat = everyMs === undefined ? undefined : setInterval(() => !document.hidden && void run(), everyMs);
    ask(() => () => void run());
    void run();
    return () => {
      over.abort();
      clearTimeout(timer);
      clearInterval(beat);
      listeners.delete(listener);
    };
  }, [path, everyMs]);
  const current = known?.path === path ? known : undefined;
  return { value: current?.value, refusal: current?.refusal, reload: asked };
}

export const useRead = <T>(verb: string, input: object | undefined, options?: { everyMs?: number }): Reading<T> =>
  useGet<T>(input && `/api/read/${verb}?input=${encodeURIComponent(JSON.stringify(input))}`, options);

import Anser from "anser";
import DOMPurify from "dompurify";
import { marked } from "marked";
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { type Done, type Me, post, type Refusal } from "./api.js";

/** A line at the foot of the page: what was done and how to take it back, or why it could not be done. */
export interface Said {
  id: number;
  line: string;
  text: string;
  ok: boolean;
  /** What `mu undo` would take back. */
  group?: string;
}

let said: readonly Said[] = [];
let saidId = 0;
const hearers = new Set<(all: readonly Said[]) => void>();
const MOST_SAID = 4;

export function say(one: Omit<Said, "id">): void {
  said = [...said, { ...one, id: ++saidId }].slice(-MOST_SAID);
  for (const hear of hearers) hear(said);
}

const unsay = (id: number) => {
  said = said.filter((one) => one.id !== id);
  for (const hear of hearers) hear(said);
};

/** Does something and says what the line was; undefined where it could not be done, which is said too. */
export async function act<T>(verb: string, input: object, told?: (result: T) => string): Promise<T | undefined> {
  try {
    const { result, line, group, undoable }: Done<T> = await post(verb, input);
    say({ line, text: told?.(result) ?? "Done.", ok: true, ...(undoable && { group }) });
    return result;
  } catch (error) {
    const { message, nextSteps } = error as Refusal;
    say({
      line: verb.replaceAll(".", " "),
      text: [message, ...(nextSteps ?? []).map(({ command }) => command)].join(" · "),
      ok: false,
    });
    return undefined;
  }
}

export function SaidLines() {
  const [all, hear] = useState(said);
  useEffect(() => {
    hearers.add(hear);
    return () => void hearers.delete(hear);
  }, []);
  return (
    <div class="said" role="status" aria-live="polite">
      {all.map(({ id, line, text, ok, group }) => (
        <p key={id} class={ok ? "" : "bad"}>
          <code>{line}</code> <span>{text}</span>
          {group && (
            <button
              type="button"
              onClick={() => void act("undo", { group, yes: true }, () => "Taken back.").then(() => unsay(id))}
            >
              Undo
            </button>
          )}
          <button type="button" class="quiet" aria-label="Dismiss" onClick={() => unsay(id)}>
            ×
          </button>
        </p>
      ))}
    </div>
  );
}

/** A button that does something; while it does, it says so and cannot be pressed again. `sure`: it asks once more. */
export function Act(props: {
  me: Me;
  verb: string;
  input: object | (() => object | undefined);
  told?: (result: never) => string;
  done?: () => void;
  sure?: string;
  kind?: string;
  title?: string;
  children: ComponentChildren;
}) {
  const { me, verb, input, told, done, sure, kind = "", title, children } = props;
  const [state, setState] = useState<"rest" | "asked" | "busy">("rest");
  useEffect(() => {
    if (state !== "asked") return;
    const timer = setTimeout(() => setState("rest"), 4_000);
    return () => clearTimeout(timer);
  }, [state]);
  if (!me.allowed.includes(verb)) return null;
  const press = async () => {
    if (sure !== undefined && state === "rest") return setState("asked");
    const given = typeof input === "function" ? input() : input;
    if (given === undefined) return;
    setState("busy");
    const result = await act(verb, given, told as never);
    setState("rest");
    if (result !== undefined) done?.();
  };
  return (
    <button type="button" class={kind} disabled={state === "busy"} title={title} onClick={() => void press()}>
      {state === "busy" && <Spinner />}
      {state === "asked" ? sure : children}
    </button>
  );
}

export const Spinner = () => <span class="spinner" role="img" aria-label="at work" />;

/** How long ago, in the largest unit, and the moment itself for who points at it. */
export function Since({ at }: { at: string | null | undefined }) {
  const [, redraw] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => redraw((n) => n + 1), 10_000);
    return () => clearInterval(timer);
  }, []);
  if (!at) return null;
  return (
    <time class="faint" dateTime={at} title={new Date(at).toLocaleString()}>
      {agoOf(Date.now() - Date.parse(at))}
    </time>
  );
}

export function agoOf(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

/** Colour is the state, the sign says it without colour. */
const SIGNS: Readonly<Record<string, [string, string]>> = {
  needs_permission: ["◐", "asks"],
  needs_input: ["◐", "asks"],
  busy: ["●", "busy"],
  spawning: ["◌", "busy"],
  idle: ["○", "faint"],
  free: ["○", "faint"],
  unreachable: ["✕", "bad"],
  terminated: ["✕", "bad"],
  OPEN: ["○", "faint"],
  IN_PROGRESS: ["●", "busy"],
  CLOSED: ["✓", "good"],
  REJECTED: ["×", "faint"],
  DEFERRED: ["–", "faint"],
  running: ["●", "busy"],
  reserved: ["◌", "busy"],
  done: ["✓", "good"],
  failed: ["✕", "bad"],
  lost: ["✕", "bad"],
  cancelled: ["×", "faint"],
};

export function Status({ of, held }: { of: string | null; held?: string | null | undefined }) {
  const [sign, colour] = held ? ["!", "asks"] : (SIGNS[of ?? ""] ?? ["·", "faint"]);
  const word = held ? `held: ${held}` : (of ?? "not known").toLowerCase().replaceAll("_", " ");
  return (
    <span class={`status ${colour}`}>
      <span aria-hidden="true">{sign}</span> {word}
    </span>
  );
}

export const usd = (value: number | null | undefined) =>
  value === null || value === undefined ? "?" : `$${value.toFixed(2)}`;

/** What a reading has come to, before there is something to show. */
export function Waiting({ of }: { of: { value: unknown; refusal: Refusal | undefined } }) {
  if (of.refusal !== undefined) return <Refused of={of.refusal} />;
  return of.value === undefined ? <p class="faint">Reading…</p> : null;
}

export const Refused = ({ of: { message, nextSteps } }: { of: Refusal }) => (
  <div class="refused" role="alert">
    <p>{message}</p>
    {nextSteps.map(({ intent, command }) => (
      <p key={command}>
        {intent}: <code>{command}</code>
      </p>
    ))}
  </div>
);

/** Markdown as a page; what is in it can neither run nor load anything. */
export function Markdown({ text }: { text: string }) {
  const html = useMemo(() => {
    const made = marked.parse(text, { async: false, gfm: true });
    return DOMPurify.sanitize(made, {
      FORBID_TAGS: ["style", "img", "form", "input", "video", "audio", "source"],
      FORBID_ATTR: ["style", "class", "id"],
    });
  }, [text]);
  // What is set here has been sanitised above.
  return <div class="markdown" dangerouslySetInnerHTML={{ __html: html }} />;
}

const MOST_SCREEN = 400;

/** Those of the 16 colours of a terminal, as Anser names them, that are too dark for text on the dark ground of a screen. */
const DARK: Readonly<Record<string, string>> = {
  "0, 0, 0": "var(--ansi-black)",
  "187, 0, 0": "var(--ansi-red)",
  "0, 0, 187": "var(--ansi-blue)",
  "187, 0, 187": "var(--ansi-magenta)",
};

/** Lines of a pane with their colours; whatever an agent prints is text. */
export function Screen({ lines, small }: { lines: readonly string[]; small?: boolean }) {
  const shown = useMemo(
    () => Anser.ansiToJson(lines.slice(-MOST_SCREEN).join("\n"), { json: true, remove_empty: true }),
    [lines],
  );
  return (
    <pre class={small ? "screen small" : "screen"}>
      {shown.map(({ content, fg, bg, decorations }, n) => (
        <span
          key={n}
          class={decorations.join(" ")}
          style={{
            ...(fg && { color: (!bg && DARK[fg]) || `rgb(${fg})` }),
            ...(bg && { backgroundColor: `rgb(${bg})` }),
          }}
        >
          {content.replace(/[^\P{Cc}\n\t]/gu, "")}
        </span>
      ))}
    </pre>
  );
}

/** A field that keeps what was typed while the page changes around it. */
export function Field(props: {
  label: string;
  value: string;
  set: (text: string) => void;
  lines?: number;
  placeholder?: string;
  /** Takes the text of a file that is dropped on it. */
  takesFiles?: boolean;
}) {
  const { label, value, set, lines, placeholder, takesFiles } = props;
  const shared = { "aria-label": label, placeholder: placeholder ?? label, value };
  return lines === undefined ? (
    <input {...shared} onInput={({ currentTarget }) => set(currentTarget.value)} />
  ) : (
    <textarea
      {...shared}
      rows={lines}
      onInput={({ currentTarget }) => set(currentTarget.value)}
      onDragOver={(event) => takesFiles && event.preventDefault()}
      onDrop={(event) => takesFiles && void drop(event, set)}
    />
  );
}

async function drop(event: DragEvent, set: (text: string) => void): Promise<void> {
  const [file] = event.dataTransfer?.files ?? [];
  if (file === undefined) return;
  event.preventDefault();
  set(await file.text());
}

export const Panel = ({
  title,
  children,
  note,
}: {
  title: string;
  note?: ComponentChildren;
  children: ComponentChildren;
}) => (
  <section class="panel">
    <h2>
      {title} {note}
    </h2>
    {children}
  </section>
);

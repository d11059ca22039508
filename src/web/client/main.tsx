import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import "./page.css";
import type { InboxItem } from "../../notify/inbox-item.js";
import { follow, type Me, useFreshness, useGet, useRead } from "./api.js";
import { Act, agoOf, Refused, SaidLines, Waiting } from "./parts.js";
import { go, type Place, pathTo, usePlace } from "./place.js";
import { AgentPage, Crew } from "./views/crew.js";
import { Graph } from "./views/graph.js";
import { Inbox, isFrozen, Release } from "./views/inbox.js";
import { JobPage, Jobs } from "./views/jobs.js";
import { Landing, ReviewPage } from "./views/landing.js";
import { Log } from "./views/log.js";
import { Money } from "./views/money.js";
import { TaskPage, Tasks } from "./views/tasks.js";

/** The views, each with the letter that goes there behind `g`. */
const VIEWS = [
  ["inbox", "Inbox", "i"],
  ["crew", "Crew", "c"],
  ["tasks", "Tasks", "t"],
  ["graph", "Graph", "g"],
  ["jobs", "Jobs", "j"],
  ["landing", "Landing", "l"],
  ["money", "Money", "m"],
  ["log", "Log", "e"],
] as const;

function Page() {
  const place = usePlace();
  const me = useGet<Me>("/api/me");
  if (me.value === undefined) return <main>{me.refusal ? <Refused of={me.refusal} /> : null}</main>;
  const workstream = place.workstream ?? me.value.workstream ?? undefined;
  if (workstream === undefined) return <Workstreams />;
  return <Workstream key={workstream} me={me.value} place={{ ...place, workstream }} />;
}

/** Which workstream, where the server was started outside of one. */
function Workstreams() {
  const list = useRead<{ items: { name: string; tasks: number; open: number; agents: number }[] }>(
    "workstream.list",
    {},
  );
  return (
    <main>
      <h1>mu</h1>
      <Waiting of={list} />
      {list.value?.items.length === 0 && (
        <p class="empty">
          No workstreams yet: <code>mu init</code> in a project makes one.
        </p>
      )}
      <ul class="cards">
        {list.value?.items.map(({ name, tasks, open, agents }) => (
          <li key={name} class="card">
            <h3>
              <a href={pathTo(name, "inbox")}>{name}</a>
            </h3>
            <p class="faint">
              {open} of {tasks} tasks open, {agents} agents
            </p>
          </li>
        ))}
      </ul>
    </main>
  );
}

const isSmall = () => matchMedia("(max-width: 700px)").matches;

function Workstream({ me, place }: { me: Me; place: Place & { workstream: string } }) {
  const { workstream, what, query } = place;
  const view = place.view || (isSmall() ? "inbox" : "crew");
  const inbox = useRead<{ items: InboxItem[] }>("inbox", { workstream });
  const [isHelpShown, showHelp] = useState(false);
  const waiting = inbox.value?.items.length ?? 0;
  const brake = inbox.value?.items.find(({ kind }) => kind === "brake");
  useEffect(() => follow(workstream), [workstream]);
  useEffect(() => {
    document.title = `${waiting > 0 ? `(${waiting}) ` : ""}${workstream} · mu`;
  }, [waiting, workstream]);
  // On a phone not all of them are beside each other.
  useEffect(() => {
    document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [view, waiting]);
  useNotices(inbox.value?.items, workstream);
  useKeys(workstream, () => showHelp((is) => !is));
  const views = {
    inbox: () => <Inbox me={me} workstream={workstream} chosen={what} />,
    crew: () =>
      what === undefined ? (
        <Crew me={me} workstream={workstream} />
      ) : (
        <AgentPage key={what} me={me} workstream={workstream} name={what} />
      ),
    tasks: () =>
      what === undefined ? (
        <Tasks me={me} workstream={workstream} filter={query.get("filter") ?? ""} />
      ) : (
        <TaskPage key={what} me={me} workstream={workstream} name={what} />
      ),
    graph: () => <Graph workstream={workstream} />,
    jobs: () =>
      what === undefined ? (
        <Jobs me={me} workstream={workstream} />
      ) : (
        <JobPage key={what} me={me} workstream={workstream} name={what} />
      ),
    landing: () =>
      what === undefined ? (
        <Landing me={me} workstream={workstream} />
      ) : (
        <ReviewPage key={what} me={me} workstream={workstream} task={what} />
      ),
    money: () => <Money me={me} workstream={workstream} day={query.get("day") ?? undefined} />,
    log: () => <Log workstream={workstream} filter={query.get("filter") ?? ""} at={query.get("at") ?? undefined} />,
  };
  const shown = view in views ? views[view as keyof typeof views]() : <p class="empty">There is no such page.</p>;
  return (
    <>
      <header>
        <a class="brand" href="/">
          mu
        </a>
        <span>{workstream}</span>
        <Fresh />
        <span class="right row">
          {me.allowed.length === 0 && <span class="faint">only to look at</span>}
          {brake ? (
            <>
              <span class="bad">{isFrozen(brake) ? "frozen" : "stopped"}</span>
              <Release me={me} brake={brake} done={inbox.reload} />
            </>
          ) : (
            <>
              <Act
                me={me}
                verb="freeze"
                input={{ workstream, reason: `frozen from the page by ${me.you}` }}
                sure="Stop every agent where it stands?"
                done={inbox.reload}
                title="Starts no more runs, and stops the agents where they stand"
              >
                Freeze
              </Act>
              <Act
                me={me}
                verb="kill"
                input={{ workstream, reason: `stopped from the page by ${me.you}` }}
                sure="Stop everything?"
                kind="danger"
                done={inbox.reload}
                title="Starts no more runs; those under way finish"
              >
                Stop
              </Act>
            </>
          )}
        </span>
        <nav aria-label="views">
          {VIEWS.map(([name, word, key]) => (
            <a
              key={name}
              href={pathTo(workstream, name)}
              aria-current={view === name ? "page" : undefined}
              title={`g ${key}`}
            >
              {word}
              {name === "inbox" && waiting > 0 && <b class="count">{waiting}</b>}
            </a>
          ))}
        </nav>
      </header>
      <main>{shown}</main>
      <SaidLines />
      {isHelpShown && <Help close={() => showHelp(false)} />}
      <footer class="faint">
        mu {me.version} · <kbd>?</kbd> keys
      </footer>
    </>
  );
}

/** Whether what is shown is true now. */
function Fresh() {
  const freshness = useFreshness();
  const [, redraw] = useState(0);
  useEffect(() => {
    if (typeof freshness !== "number") return;
    const timer = setInterval(() => redraw((n) => n + 1), 1_000);
    return () => clearInterval(timer);
  }, [freshness]);
  if (typeof freshness !== "number") return null;
  return (
    <span class="asks" role="status">
      no news for {agoOf(Date.now() - freshness)}
    </span>
  );
}

/** Tells of new questions while the page is open behind another window. */
function useNotices(items: readonly InboxItem[] | undefined, workstream: string): void {
  const known = useRef<Set<string> | undefined>(undefined);
  useEffect(() => {
    if (items === undefined) return;
    const fresh = known.current === undefined ? [] : items.filter(({ id }) => !known.current?.has(id));
    known.current = new Set(items.map(({ id }) => id));
    if (!("Notification" in window) || Notification.permission !== "granted" || document.hasFocus()) return;
    for (const { id, subject, summary } of fresh) {
      const notice = new Notification(`${workstream}: ${subject}`, { body: summary, tag: id });
      notice.onclick = () => {
        focus();
        go(pathTo(workstream, "inbox", subject));
      };
    }
  }, [items, workstream]);
}

const isTyping = (target: EventTarget | null) =>
  target instanceof HTMLElement && /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);

function useKeys(workstream: string, help: () => void): void {
  useEffect(() => {
    let isGoing = false;
    const onKey = (event: KeyboardEvent) => {
      const { key, target } = event;
      if (key === "Escape" && target instanceof HTMLElement) target.blur();
      if (isTyping(target) || event.metaKey || event.ctrlKey || event.altKey) return;
      const [view] = VIEWS.find(([, , letter]) => isGoing && letter === key) ?? [];
      const was = isGoing;
      isGoing = key === "g" && !was;
      if (view !== undefined) go(pathTo(workstream, view));
      else if (key === "?") help();
      else if (key === "/") {
        event.preventDefault();
        document.querySelector<HTMLInputElement>("#filter")?.focus();
      }
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [workstream]);
}

function Help({ close }: { close: () => void }) {
  const canAsk = "Notification" in window && Notification.permission === "default";
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => box.current?.showModal(), []);
  const theme = (name: string) => {
    document.documentElement.dataset["theme"] = name;
    localStorage.setItem("theme", name);
  };
  return (
    <dialog ref={box} onClose={close} aria-label="keys">
      <h2>Keys</h2>
      <table>
        <tbody>
          {VIEWS.map(([name, word, key]) => (
            <tr key={name}>
              <td>
                <kbd>g</kbd> <kbd>{key}</kbd>
              </td>
              <td>{word}</td>
            </tr>
          ))}
          <tr>
            <td>
              <kbd>/</kbd>
            </td>
            <td>Filter</td>
          </tr>
          <tr>
            <td>
              <kbd>?</kbd>
            </td>
            <td>These keys</td>
          </tr>
        </tbody>
      </table>
      <div class="row">
        <button type="button" onClick={() => theme("dark")}>
          Dark
        </button>
        <button type="button" onClick={() => theme("light")}>
          Light
        </button>
        {canAsk && (
          <button type="button" onClick={() => void Notification.requestPermission()}>
            Tell me of questions
          </button>
        )}
        <button type="button" class="main" onClick={() => box.current?.close()}>
          Close
        </button>
      </div>
    </dialog>
  );
}

const chosen = localStorage.getItem("theme");
if (chosen) document.documentElement.dataset["theme"] = chosen;
render(<Page />, document.getElementById("page") as HTMLElement);

import { useState } from "preact/hooks";
import type { InboxItem } from "../../../notify/inbox-item.js";
import { type Me, useRead } from "../api.js";
import { Act, Field, Markdown, Since, Waiting } from "../parts.js";
import { pathTo } from "../place.js";

const KINDS: Readonly<Record<InboxItem["kind"], string>> = {
  permission: "asks for permission",
  input: "asks",
  brake: "the brake is on",
  held: "is held",
  check: "its check failed",
  budget: "has used up its budget",
};

/** Whether a freeze has put the brake on, so that a thaw takes it off. */
export const isFrozen = ({ command }: InboxItem) => command.startsWith("mu thaw");

/** Lets go on what the brake has stopped. */
export function Release({ me, brake, done }: { me: Me; brake: InboxItem; done: () => void }) {
  const { workstream, command } = brake;
  if (isFrozen(brake))
    return (
      <Act me={me} verb="thaw" input={{ workstream }} done={done} kind="main">
        Thaw
      </Act>
    );
  return (
    <Act me={me} verb="resume" input={{ workstream, machine: command.includes("--machine") }} done={done} kind="main">
      Resume
    </Act>
  );
}

/** Who needs a person, oldest first as mu lists them, with the question itself and buttons for the answers. */
export function Inbox({ me, workstream, chosen }: { me: Me; workstream: string; chosen: string | undefined }) {
  const inbox = useRead<{ items: InboxItem[] }>("inbox", { workstream });
  if (inbox.value === undefined) return <Waiting of={inbox} />;
  const { items } = inbox.value;
  if (items.length === 0) return <p class="empty">Nobody waits for you.</p>;
  return (
    <ul class="cards" aria-label="what waits for you">
      {items.map((item) => (
        <Question
          key={item.id}
          me={me}
          item={item}
          isChosen={item.id === chosen || item.subject === chosen}
          reload={inbox.reload}
        />
      ))}
    </ul>
  );
}

function Question({ me, item, isChosen, reload }: { me: Me; item: InboxItem; isChosen: boolean; reload: () => void }) {
  const [text, setText] = useState("");
  const { id, workstream, kind, subject, since, question, choices, command } = item;
  const isAgent = kind === "permission" || kind === "input";
  const place = isAgent
    ? pathTo(workstream, "crew", subject)
    : kind === "held" || kind === "check"
      ? pathTo(workstream, "tasks", subject)
      : undefined;
  const answer = (words: string) => ({ id, workstream, answer: [words] });
  const told = ({ how }: { how: string }) =>
    how === "keys" ? "Typed into its pane." : how === "requeued" ? "Noted, and ready again." : "Sent.";
  return (
    <li class={isChosen ? "card chosen" : "card"}>
      <h3>
        {place ? <a href={place}>{subject}</a> : subject} <span class="faint">{KINDS[kind]}</span> <Since at={since} />
      </h3>
      {isAgent ? <pre class="question">{question}</pre> : <Markdown text={question} />}
      <div class="row">
        {choices.map(({ key, label }) => (
          <Act key={key} me={me} verb="inbox.answer" input={answer(key)} told={told as never} done={reload} kind="main">
            {`${key} · ${label}`}
          </Act>
        ))}
        {kind === "brake" && <Release me={me} brake={item} done={reload} />}
        {kind === "check" && (
          <Act me={me} verb="task.open" input={{ task: subject, workstream }} done={reload}>
            Have it tried again
          </Act>
        )}
      </div>
      {(isAgent || kind === "held") && me.allowed.includes("inbox.answer") && (
        <div class="row">
          <Field
            label={`Answer ${subject}`}
            value={text}
            set={setText}
            lines={2}
            placeholder="Answer in your own words"
          />
          <Act
            me={me}
            verb="inbox.answer"
            input={() => (text.trim() === "" ? undefined : answer(text))}
            told={told as never}
            done={() => setText("")}
          >
            Answer
          </Act>
        </div>
      )}
      <p class="faint">
        <code>{command}</code>
      </p>
    </li>
  );
}

import type { Review } from "../../../review/queue.js";
import type { Collision } from "../../../workspaces/radar/radar.js";
import { type Me, useRead } from "../api.js";
import { Act, Panel, Since, Spinner, Waiting } from "../parts.js";
import { pathTo } from "../place.js";
import { Diff } from "./diff.js";

interface Plan {
  target: { branch: string } | null;
  landed: { task: string; commits: number | null; agent: string | null }[];
  returned: { task: string; why: string; files: string[]; reason: string }[];
  skipped: { task: string; why: string; reason: string }[];
}

/** How the landing of a finished task stands; tasks that are checked together have one batch. */
interface Stand {
  task: string;
  state: string;
  batch: string | null;
}

interface Conflicts {
  items: Collision[];
  order: string[];
  drift: { agent: string; paths: string[] }[];
}

/** What lands next and what keeps the rest, what will collide, and what a person should look at first. */
export function Landing({ me, workstream }: { me: Me; workstream: string }) {
  const queue = useRead<{ items: Review[]; landings: Stand[] }>("review", { workstream });
  const conflicts = useRead<Conflicts>("workspace.conflicts", { workstream }, { everyMs: 30_000 });
  return (
    <>
      <div class="row">
        <Act
          me={me}
          verb="land"
          input={{ workstream, all: true }}
          kind="main"
          told={({ landed, returned, skipped }: Plan) =>
            `${landed.length} landed, ${returned.length} returned, ${skipped.length} left out.`
          }
          done={queue.reload}
        >
          Land all that is finished
        </Act>
      </div>
      <Panel title="Finished, riskiest first">
        {queue.value === undefined ? (
          <Waiting of={queue} />
        ) : queue.value.items.length === 0 ? (
          <p class="empty">Nothing waits to land.</p>
        ) : (
          <ol class="cards" aria-label="review queue">
            {queue.value.items.map((item) => (
              <Finished
                key={item.task}
                me={me}
                item={item}
                stand={queue.value?.landings.find(({ task }) => task === item.task)}
                reload={queue.reload}
              />
            ))}
          </ol>
        )}
      </Panel>
      <Panel
        title="Conflicts"
        note={
          conflicts.value && (
            <span class={conflicts.value.items.length > 0 ? "asks" : "faint"}>{conflicts.value.items.length}</span>
          )
        }
      >
        {conflicts.value === undefined ? (
          <Waiting of={conflicts} />
        ) : (
          <>
            {conflicts.value.items.length === 0 && <p class="faint">No two workspaces will collide.</p>}
            {conflicts.value.items.map(({ a, b, branch, paths, since }) => (
              <p key={`${a} ${b ?? branch}`}>
                <a href={pathTo(workstream, "crew", a)}>{a}</a> and{" "}
                {b ? <a href={pathTo(workstream, "crew", b)}>{b}</a> : (branch ?? "the branch")}:{" "}
                <code>{paths.join(", ")}</code> <Since at={since} />
              </p>
            ))}
            {conflicts.value.order.length > 1 && (
              <p>With the fewest conflicts they land in this order: {conflicts.value.order.join(", ")}</p>
            )}
            {conflicts.value.drift.map(({ agent, paths }) => (
              <p key={agent}>
                {agent} changes files that its tasks do not name: <code>{paths.join(", ")}</code>
              </p>
            ))}
          </>
        )}
      </Panel>
    </>
  );
}

function Finished({ me, item, stand, reload }: { me: Me; item: Review; stand: Stand | undefined; reload: () => void }) {
  const {
    workstream,
    task,
    title,
    agent,
    risk,
    reasons,
    files,
    added,
    removed,
    check,
    approvedBy,
    openComments,
    closedAt,
  } = item;
  const ref = { task, workstream };
  return (
    <li class="card">
      <h3>
        <a href={pathTo(workstream, "landing", task)}>{task}</a> <span class="faint">{agent}</span>{" "}
        <Since at={closedAt} />
        <span class="right">risk {risk}</span>
      </h3>
      <p>{title}</p>
      <p class="faint">
        {files} files, <span class="good">+{added}</span> <span class="bad">−{removed}</span> · check {check}
        {approvedBy && ` · approved by ${approvedBy}`}
        {openComments > 0 && ` · ${openComments} open comments`}
      </p>
      {stand && (
        <p class={stand.batch === null ? "faint" : "busy"}>
          {stand.batch !== null && <Spinner />}
          {stand.state}
        </p>
      )}
      {reasons.length > 0 && <p>{reasons.join("; ")}</p>}
      <div class="row">
        {approvedBy === null && (
          <Act me={me} verb="review.approve" input={ref} done={reload}>
            Approve
          </Act>
        )}
        <Act
          me={me}
          verb="land"
          input={{ tasks: [task], workstream }}
          told={({ landed, returned, skipped }: Plan) =>
            landed.length > 0
              ? "It has landed."
              : [...returned, ...skipped].map(({ reason }) => reason).join("; ") || "Nothing has landed."
          }
          done={reload}
        >
          Land
        </Act>
      </div>
    </li>
  );
}

interface Shown {
  items: Review[];
  landings: Stand[];
  shown: {
    comments: {
      n: number;
      round: number;
      file: string | null;
      line: number | null;
      text: string;
      author: string;
      handledAt: string | null;
      handledBy: string | null;
    }[];
  } | null;
}

/** One finished task: its changes, to approve or to send back with comments, and the comments of the rounds before. */
export function ReviewPage({ me, workstream, task }: { me: Me; workstream: string; task: string }) {
  const review = useRead<Shown>("review", { task, workstream });
  if (review.value === undefined) return <Waiting of={review} />;
  const [item] = review.value.items;
  const comments = review.value.shown?.comments ?? [];
  return (
    <>
      <h1>
        {task} <a href={pathTo(workstream, "tasks", task)}>its page</a>
      </h1>
      {item && (
        <ol class="cards">
          <Finished me={me} item={item} stand={review.value.landings[0]} reload={review.reload} />
        </ol>
      )}
      {comments.length > 0 && (
        <Panel title="Comments">
          {comments.map(({ n, round, file, line, text, author, handledAt, handledBy }) => (
            <p key={n} class={handledAt ? "faint" : ""}>
              {n}. round {round} {file && <code>{line === null ? file : `${file}:${line}`}</code>} {author}: {text}{" "}
              {handledAt ? (
                `handled by ${handledBy}`
              ) : (
                <Act
                  me={me}
                  verb="review.handled"
                  input={{ task, workstream, numbers: [String(n)] }}
                  done={review.reload}
                >
                  Handled
                </Act>
              )}
            </p>
          ))}
        </Panel>
      )}
      <Panel title="Changes">
        <Diff me={me} workstream={workstream} task={task} returns />
      </Panel>
    </>
  );
}

import { useState } from "preact/hooks";
import { type Me, useRead } from "../api.js";
import { Act, Waiting } from "../parts.js";

interface Comment {
  file: string;
  line: number;
  text: string;
}

/** The lines of a patch, each with its file and its number in the new text where it has one. */
export function linesOf(patch: string): { text: string; file: string; line: number | null }[] {
  let file = "";
  let next = 0;
  return patch.split("\n").map((text) => {
    const [, named] = /^\+\+\+ (?:b\/)?(.*)$/.exec(text) ?? [];
    if (named !== undefined) file = named;
    const [, start] = /^@@ -\S+ \+(\d+)/.exec(text) ?? [];
    if (start !== undefined) next = Number(start);
    const isNew = start === undefined && named === undefined && next > 0 && /^[+ ]/.test(text);
    return { text, file, line: isNew ? next++ : null };
  });
}

const MOST_LINES = 3_000;
const KINDS: Readonly<Record<string, string>> = { "+": "added", "-": "removed", "@": "hunk" };

/** What a task has changed; a line that is chosen takes a comment, and all comments send the task back at once. */
export function Diff({
  me,
  workstream,
  task,
  returns = false,
}: {
  me: Me;
  workstream: string;
  task: string;
  returns?: boolean;
}) {
  const diff = useRead<{ text: string; state: string }>("task.diff", { task, workstream });
  const [chosen, choose] = useState<number>();
  const [comments, setComments] = useState<Comment[]>([]);
  const [text, setText] = useState("");
  if (diff.value === undefined) return <Waiting of={diff} />;
  const lines = linesOf(diff.value.text);
  const mayComment = returns && me.allowed.includes("review.return");
  const add = (file: string, line: number) => {
    if (text.trim() !== "") setComments([...comments, { file, line, text: text.trim() }]);
    setText("");
    choose(undefined);
  };
  return (
    <>
      <pre class="diff">
        {lines.slice(0, MOST_LINES).map(({ text: shown, file, line }, n) => (
          <div key={n}>
            {mayComment && line !== null ? (
              <button
                type="button"
                class={`line ${KINDS[shown[0] ?? ""] ?? ""}`}
                aria-label={`Comment on ${file} line ${line}`}
                onClick={() => choose(n)}
              >
                {shown}
              </button>
            ) : (
              <span
                class={`line ${shown.startsWith("+++") || shown.startsWith("---") || shown.startsWith("diff ") ? "file" : (KINDS[shown[0] ?? ""] ?? "")}`}
              >
                {shown}
              </span>
            )}
            {comments
              .filter((comment) => comment.file === file && comment.line === line)
              .map((comment) => (
                <p key={comment.text} class="comment">
                  {comment.text}{" "}
                  <button
                    type="button"
                    class="quiet"
                    onClick={() => setComments(comments.filter((one) => one !== comment))}
                  >
                    Remove
                  </button>
                </p>
              ))}
            {chosen === n && line !== null && (
              <p class="comment row">
                <textarea
                  rows={2}
                  aria-label={`Comment on ${file}:${line}`}
                  value={text}
                  ref={(field) => field?.focus()}
                  onInput={({ currentTarget }) => setText(currentTarget.value)}
                />
                <button type="button" onClick={() => add(file, line)}>
                  Comment
                </button>
              </p>
            )}
          </div>
        ))}
      </pre>
      {lines.length > MOST_LINES && (
        <p class="faint">
          The first {MOST_LINES} lines are shown. All of it:{" "}
          <code>
            mu task diff {task} -w {workstream}
          </code>
        </p>
      )}
      {comments.length > 0 && (
        <Act
          me={me}
          verb="review.return"
          kind="main"
          input={{ task, workstream, comment: comments.map(({ file, line, text: said }) => `${file}:${line} ${said}`) }}
          told={({ comments: sent, agent }: { comments: number; agent: string | null }) =>
            `Returned with ${sent} comments${agent ? ` to ${agent}` : ""}.`
          }
          done={() => setComments([])}
        >
          {`Send back with ${comments.length} ${comments.length === 1 ? "comment" : "comments"}`}
        </Act>
      )}
    </>
  );
}

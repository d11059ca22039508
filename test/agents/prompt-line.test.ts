import { expect, test } from "vitest";
import { judgePromptLine } from "../../src/agents/screen/prompt-line.js";
import { pane } from "./screens.js";

const judge = (line: string, known: string | null, behind = "") =>
  judgePromptLine(pane([line + behind], { cursorX: line.length }), known);

test.each<[what: string, line: string, known: string | null, is: ReturnType<typeof judgePromptLine>]>([
  ["a plain prompt that nobody has seen before", "me@host:~$ ", null, "prompt"],
  ["a root prompt", "# ", null, "prompt"],
  ["half a command", "$ rm -rf", null, "typed"],
  ["half a command behind >", "> rm -rf", null, "typed"],
  ["half a command of fish", "me@host ~/x> rm", "me@host ~/x> ", "typed"],
  ["fish in another folder", "me@host ~/y> ", "me@host ~/x> ", "prompt"],
  ["fish that nobody has seen before", "me@host ~/x> ", null, "unknown"],
  ["a theme of zsh", "➜  mu ", "➜  mu ", "prompt"],
  ["a theme of zsh in another folder", "➜  other ", "➜  mu ", "prompt"],
  ["a theme of zsh with a dirty repository", "➜  mu git:(main) ✗ ", "➜  mu git:(main) ", "prompt"],
  ["a command behind a theme of zsh", "➜  mu ls", "➜  mu ", "typed"],
  ["a command with an argument behind it", "➜  other ls -l", "➜  mu ", "unknown"],
  ["an open quote", "> ", "$ ", "unknown"],
  ["an open quote of zsh", "dquote> ", "host% ", "unknown"],
  ["a prompt that is >", "> ", "> ", "prompt"],
  ["the question of a read", "Your name: ", "$ ", "unknown"],
  ["a question that ends like a prompt", "How much in $ ", "host% ", "unknown"],
  ["a redirection", "$ echo 5 >", "$ ", "typed"],
])("%s", (_, line, known, is) => {
  expect(judge(line, known)).toBe(is);
});

test("a cursor that was moved back over a command", () => {
  expect(judge("$ ", "$ ", "rm -rf")).toBe("typed");
  expect(judge("$ ", "$ ", "        12:30")).toBe("prompt");
});

import type { ModelScript, Moment } from "../fake-model/script.js";

/** What the model does with the prompts of the story: each is answered in turns, with mu in the CLI's own shell tool. */
export const script: ModelScript = {
  conversations: [
    { when: /Take the next task\./, turns: [claim, note, close, say] },
    { when: /Take the next task, and ask before you write\./, turns: [claim, note, write, close, say] },
    { when: /Take the next task and dwell in (\w+)\./, turns: [claim, note, dwell] },
    { when: /Dwell in (\w+)\./, turns: [dwell] },
    { when: /Implement the next task\./, turns: [claim, implement, closeChecked, say] },
    { when: /Your task ([\w-]+) is still yours/, turns: [goOn, close, say] },
  ],
  otherwise: { text: "Understood." },
  // Gemini asks a small model which model to ask.
  aside: { text: '{"title": "A shop", "reasoning": "It is simple.", "model_choice": "flash"}' },
};

function claim() {
  return { text: "I take it.", shell: "mu task claim --next --json" };
}

function note({ toolResult }: Moment) {
  return { shell: `mu task note ${taskIn(toolResult)} 'I work on it.' --json` };
}

/** A command that a person has to allow. */
function write({ toolResult }: Moment) {
  const task = taskIn(toolResult);
  return { text: "I write it down.", shell: `touch ${task}.json && mu task show ${task} --json`, leaves: true };
}

/** An answer that does not end before the test lets it. */
function dwell({ captures }: Moment) {
  return { text: "This takes me a long time.", hold: captures[1] ?? "" };
}

function goOn({ captures }: Moment) {
  return { shell: `mu task note ${captures[1]} 'I go on.' --json` };
}

function close({ toolResult }: Moment) {
  return { shell: `mu task close ${taskIn(toolResult)} --evidence 'it works' --json` };
}

/** A function, the line that exports it and its test, committed where the agent works. */
function implement({ toolResult }: Moment) {
  const task = taskIn(toolResult);
  const write = [
    `printf 'export const ${task} = (a, b) => ${OPERATORS[task]};\\n' >src/${task}.js`,
    `printf 'import assert from "node:assert";\\nimport test from "node:test";\\nimport { ${task} } from "../src/${task}.js";\\ntest("${task}", () => assert.equal(${task}(6, 3), ${RESULTS[task]}));\\n' >test/${task}.test.js`,
    `git add -A`,
    `git commit -qm 'Implement ${task}'`,
    `mu task show ${task} --json`,
  ];
  return { text: "I write it, with its test.", shell: write.join(" && ") };
}

const OPERATORS: Readonly<Record<string, string>> = { add: "a + b", subtract: "a - b", multiply: "a * b" };
const RESULTS: Readonly<Record<string, number>> = { add: 9, subtract: 3, multiply: 18 };

function closeChecked({ toolResult }: Moment) {
  return { shell: `mu task close ${taskIn(toolResult)} --check 'node --test test/' --json` };
}

function say({ toolResult }: Moment) {
  return { text: `I have closed ${taskIn(toolResult)}.` };
}

/** The task's name in the answer of a verb with `--json`. */
function taskIn(toolResult: string): string {
  return /"task":\s*\{\s*"name":\s*"([\w-]+)"/.exec(toolResult)?.[1] ?? `no-task-in-${toolResult.length}-characters`;
}

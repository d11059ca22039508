import type { ModelScript, Moment } from "../fake-model/script.js";

/** What the model does with the prompts of the story: each is answered in turns, with mu in the CLI's own shell tool. */
export const script: ModelScript = {
  conversations: [
    { when: /Take the next task\./, turns: [claim, note, close, say] },
    { when: /Take the next task, and ask before you write\./, turns: [claim, note, write, close, say] },
    { when: /Take the next task and dwell in (\w+)\./, turns: [claim, note, dwell] },
    { when: /Dwell in (\w+)\./, turns: [dwell] },
    { when: /Your task (\w+) is still yours/, turns: [goOn, close, say] },
  ],
  otherwise: { text: "Understood." },
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
  return { text: "I write it down.", shell: `mu task show ${task} --json | tee ${task}.json` };
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

function say({ toolResult }: Moment) {
  return { text: `I have closed ${taskIn(toolResult)}.` };
}

/** The task's name in the answer of a verb with `--json`. */
function taskIn(toolResult: string): string {
  return /"task":\s*\{\s*"name":\s*"([\w-]+)"/.exec(toolResult)?.[1] ?? `no-task-in-${toolResult.length}-characters`;
}

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CommanderError } from "commander";
import * as ts from "typescript";
import { describe, expect, it } from "vitest";
import { loadOperations } from "../src/operations/index.js";
import { VERBS } from "../src/operations/manifest.js";
import { wordsOf } from "../src/operations/verb.js";
import { generatedFiles } from "../src/reference.js";
import { parseCommand, shellWords } from "./support/command.js";

const root = fileURLToPath(new URL("../", import.meta.url));
const operations = await loadOperations();

/** A command and where it stands. */
type Found = readonly [place: string, command: string];

/** What is wrong with a command; undefined when the command tree takes it, or it only names a verb, as `mu task show`. */
function mistake(command: string): string | undefined {
  try {
    if (/^mu …?$|^mu( (--version|-V|--json))+$/.test(command)) return undefined;
    const { verb, input } = parseCommand(withoutMarks(command));
    if (/[<[$…]/.test(command)) return undefined;
    const operation = operations.find((known) => known.name === verb.name);
    const issues = operation?.input().safeParse(input).error?.issues ?? [];
    return issues.length === 0 ? undefined : JSON.stringify(issues);
  } catch (error) {
    if (!(error instanceof CommanderError)) return (error as Error).message;
    const isMention = error.exitCode === 0 || error.code === "commander.missingArgument";
    return isMention || isNamespace(command) ? undefined : error.message;
  }
}

/** `mu task claim [task] [options]` as one would type it. */
const withoutMarks = (command: string) => command.replace(/ \[options\]/g, "").replace(/ \[[^\]]*\]/g, " x");

/** `mu task`, or a fold such as `mu --json` in a sentence. */
function isNamespace(command: string): boolean {
  const words = shellWords(command).slice(1);
  return VERBS.some((verb) => words.every((word, at) => wordsOf(verb.name)[at] === word));
}

/** Where a shell would end the command. */
const ofOneCommand = (line: string) => shellCut(line.replace(/^\$ /, "")).trim();

function shellCut(line: string): string {
  const match = /^(?:[^'"#|;&<>)]|'[^']*'|"(?:[^"\\]|\\.)*"|(?<! )#|<[^>\s]*>)*/.exec(line);
  return match?.[0] ?? line;
}

const commandsIn = (text: string) => [...text.matchAll(/`((?:\$ )?mu(?: [^`]*)?)`/g)].map((match) => match[1] ?? "");

function markdown(file: string): Found[] {
  const lines = readFileSync(join(root, file), "utf8").split("\n");
  let fenced = false;
  return lines.flatMap((line, at): Found[] => {
    if (line.startsWith("```")) {
      fenced = !fenced;
      return [];
    }
    if (/^- `mu .*\(`[a-z_]+\.[a-z_]+`\)$/.test(line)) return []; // an example that is refused
    const texts = fenced
      ? [...line.matchAll(/(?:^\s*|\$ |\| |\$\()(mu .*)$/g)].map((match) => match[1] ?? "")
      : commandsIn(line);
    return texts.map(ofOneCommand).map((command) => [`${file}:${at + 1}`, command] as const);
  });
}

const documents = ["README.md", "AGENTS.md", "CHANGELOG.md", ...below("docs", ".md"), ...below("skills", ".md")];

function below(folder: string, ending: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(ending))
    .map((name) => join(folder, name));
}

/** What stands for a value in a template; a word of the verb needs one that makes a verb. */
const STAND_INS: Readonly<Record<string, string>> = {
  verb: "reject",
  hooksVerb: "install",
  tmuxVerb: "install",
  flags: "--all",
};

/** Every text in a source file that is a command or speaks of one, with `<x>` where a value would be. */
function source(file: string): Found[] {
  const parsed = ts.createSourceFile(file, readFileSync(join(root, file), "utf8"), ts.ScriptTarget.Latest, true);
  const found: Found[] = [];
  const visit = (node: ts.Node): void => {
    const text = textOf(node);
    if (text !== undefined) {
      const { line } = parsed.getLineAndCharacterOfPosition(node.getStart());
      const commands = isCommand(node, text) ? [text] : [...commandsIn(text), ...afterColon(text)];
      found.push(...commands.map((command) => [`${file}:${line + 1}`, ofOneCommand(command)] as const));
    }
    ts.forEachChild(node, visit);
  };
  visit(parsed);
  return found;
}

const nouns = new Set(VERBS.map((verb) => wordsOf(verb.name)[0]));

/** A text that begins with a verb's first word, or is said to be a command; not a sentence about mu. */
function isCommand(node: ts.Node, text: string): boolean {
  const [mu, word] = text.split(" ", 2);
  const { parent } = node;
  return mu === "mu" && (nouns.has(word) || (ts.isPropertyAssignment(parent) && parent.name.getText() === "command"));
}

const afterColon = (text: string) =>
  [...text.matchAll(/: (mu ([a-z]+)[^.]*)/g)].flatMap(([, command = "", word]) => (nouns.has(word) ? [command] : []));

function textOf(node: ts.Node): string | undefined {
  if (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node)) return node.text;
  if (!ts.isTemplateExpression(node)) return undefined;
  const spans = node.templateSpans.map(({ expression, literal }) => {
    const name = expression.getText();
    return `${STAND_INS[name] ?? "<x>"}${literal.text}`;
  });
  return node.head.text + spans.join("");
}

const sources = below("src", ".ts").filter((file) => !file.endsWith("manifest.ts"));
const faulty = new Set(
  VERBS.flatMap((verb) => verb.examples.filter((example) => example.fault).map(({ command }) => command)),
);

const mistakes = (found: readonly Found[]) =>
  found.flatMap(([place, command]) => {
    const wrong = faulty.has(command) ? undefined : mistake(command);
    return wrong === undefined ? [] : [`${place}: ${command}: ${wrong}`];
  });

describe("every command that mu or its documents speak of is one", () => {
  it.each(documents)("in %s", (file) => {
    expect(mistakes(markdown(file))).toEqual([]);
  });

  it("in help", () => {
    const found = VERBS.flatMap((verb): Found[] => [
      ...verb.examples
        .filter((example) => !example.fault)
        .map(({ command }) => [verb.name, ofOneCommand(command)] as const),
      ...[verb.summary, verb.description, ...verb.options.map((flag) => flag.description)]
        .flatMap(commandsIn)
        .map((command) => [verb.name, ofOneCommand(command)] as const),
    ]);
    expect(found.length).toBeGreaterThan(VERBS.length);
    expect(mistakes(found)).toEqual([]);
  });

  it("in the sources", () => {
    const found = sources.flatMap(source).filter(([, command]) => !/^mu <x>/.test(command));
    expect(found.length).toBeGreaterThan(50);
    expect(mistakes(found)).toEqual([]);
  });

  it("and a wrong one would be found", () => {
    expect(mistake("mu task clam build")).toMatch(/clam/);
    expect(mistake("mu task list --status DONE")).toMatch(/status/);
    expect(mistake("mu task show build --colour <name>")).toMatch(/--colour/);
  });
});

it("what is generated from the verbs is up to date", async () => {
  for (const { path, render } of await generatedFiles()) {
    const text = readFileSync(join(root, path), "utf8");
    const squeezed = (table: string) => table.replace(/ +\|/g, " |").replace(/-{3,}/g, "---");
    expect(squeezed(render(text)), path).toBe(squeezed(text));
  }
});

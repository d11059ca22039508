import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as ts from "typescript";
import { expect, it } from "vitest";

const src = fileURLToPath(new URL("../src/", import.meta.url));
const sources = readdirSync(src, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts") && !name.endsWith("manifest.ts"))
  .map((name) => parse(name, readFileSync(join(src, name), "utf8")));

function parse(name: string, text: string): ts.SourceFile {
  return ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true);
}

function nodesOf<T extends ts.Node>(root: ts.Node, is: (node: ts.Node) => node is T): T[] {
  const found: T[] = [];
  const visit = (node: ts.Node): void => {
    if (is(node)) found.push(node);
    ts.forEachChild(node, visit);
  };
  visit(root);
  return found;
}

const shown = (node: ts.Node) => `${node.getSourceFile().fileName}: ${node.getText()}`;

/** What a name in a message stands for, as far as its own file says. */
function textsOf(node: ts.Expression): ts.Expression[] {
  if (ts.isConditionalExpression(node)) return [...textsOf(node.whenTrue), ...textsOf(node.whenFalse)];
  if (ts.isBinaryExpression(node)) return textsOf(node.right);
  if (!ts.isIdentifier(node)) return [node];
  const before = nodesOf(node.getSourceFile(), ts.isVariableDeclaration).filter(
    ({ name, pos }) => name.getText() === node.text && pos < node.pos,
  );
  const last = before.at(-1)?.initializer;
  return last === undefined || ts.isIdentifier(last) ? [] : textsOf(last);
}

const messages = (file: ts.SourceFile) =>
  nodesOf(file, ts.isNewExpression)
    .filter(({ expression }) => expression.getText() === "Fault")
    .flatMap(({ arguments: given }) => (given?.[2] === undefined ? [] : textsOf(given[2])));

/** A hint may follow the full stop; a program's own words or a command after a colon end as they are. */
function endsWell(node: ts.Expression): boolean {
  if (ts.isStringLiteralLike(node)) return /[.…]$/.test(node.text);
  return !ts.isTemplateExpression(node) || templateEndsWell(node);
}

function templateEndsWell({ head, templateSpans }: ts.TemplateExpression): boolean {
  const texts = [head.text, ...templateSpans.map(({ literal }) => literal.text)];
  const end = texts.at(-1) ?? "";
  if (end !== "") return /[.…]$/.test(end);
  if (/(\.|:) ?\n?$/.test(texts.at(-2) ?? "")) return true;
  const last = templateSpans.at(-1)?.expression;
  return last !== undefined && !ts.isCallExpression(last) && textsOf(last).every(isEnd);
}

const isEnd = (node: ts.Expression) =>
  (ts.isStringLiteralLike(node) && node.text === "") ||
  ((ts.isStringLiteralLike(node) || ts.isTemplateExpression(node)) && endsWell(node));

/** What follows a name, not a number. */
const VERBS_AFTER =
  /^ (is|was|has|does|as|belongs|builds|conflicts|contains|exists|holds|needs|owns|runs|stays|repositories)\b/;

/** Spans that print `1 tasks`. A constant is never 1, and neither is the end of a range. */
const uncounted = (template: ts.TemplateExpression) =>
  template.templateSpans.filter(({ expression, literal }, at) => {
    const before = at === 0 ? template.head.text : (template.templateSpans[at - 1]?.literal.text ?? "");
    const isFixed = /^[A-Z_]+$/.test(expression.getText()) || /\bto $/.test(before);
    return !isFixed && /^ [a-z]+s\b/.test(literal.text) && !VERBS_AFTER.test(literal.text);
  });

/** Spans that can print `undefined`. */
const unsure = (template: ts.TemplateExpression) =>
  template.templateSpans.filter(({ expression }) => {
    const isChain =
      (ts.isPropertyAccessExpression(expression) || ts.isCallExpression(expression)) && ts.isOptionalChain(expression);
    const isItem = ts.isElementAccessExpression(expression) && ts.isNumericLiteral(expression.argumentExpression);
    return isChain || isItem;
  });

const all = sources.flatMap(messages);
const templates = all.flatMap((message) => nodesOf(message, ts.isTemplateExpression));

it("every message of a fault ends with a full stop", () => {
  expect(all.length).toBeGreaterThan(200);
  expect(all.filter((message) => !endsWell(message)).map(shown)).toEqual([]);
});

it("none counts without counted()", () => {
  expect(templates.filter((template) => uncounted(template).length > 0).map(shown)).toEqual([]);
});

it("none can print undefined", () => {
  expect(templates.filter((template) => unsure(template).length > 0).map(shown)).toEqual([]);
});

it("and what these look for would be found", () => {
  const file = parse("sample.ts", `throw new Fault("usage", "a.b", \`\${n} tasks of \${rows[0]} and \${row?.name}\`)`);
  const [template] = nodesOf(file, ts.isTemplateExpression);
  expect(messages(file).map(endsWell)).toEqual([false]);
  expect(template && [uncounted(template).length, unsure(template).length]).toEqual([1, 2]);
});

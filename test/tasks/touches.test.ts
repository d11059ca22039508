import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { coveredBy, mayOverlap } from "../../src/tasks/touches.js";

describe("the globs of a task", () => {
  it.each([
    ["src/a.ts", "src/a.ts", true],
    ["src/a.ts", "src/b.ts", false],
    ["src", "src/deep/b.ts", true],
    ["./src/", "src/b.ts", true],
    ["src", "srcs/b.ts", false],
    ["src/*.ts", "src/a.ts", true],
    ["src/*.ts", "src/deep/a.ts", false],
    ["src/**/*.ts", "src/a.ts", true],
    ["src/**", "src/.hidden/x", true],
    ["*.md", "docs/a.md", false],
    [".", "docs/a.md", true],
    ["/", "docs/a.md", true],
    ["(", "(", true],
    ["[", "a", false],
    ["{src,test}/**", "test/a.ts", true],
  ])("%s covers %s: %s", (glob, path, covered) => {
    expect(coveredBy([glob])(path)).toBe(covered);
  });

  it("takes out what is excluded, and nothing covers nothing", () => {
    const covers = coveredBy(["src/**", "!src/generated"]);
    expect([covers("src/a.ts"), covers("src/generated/b.ts")]).toEqual([true, false]);
    expect(coveredBy([])("a")).toBe(false);
  });

  it("accepts any text", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: fc.constantFrom(..."![]{}()*?/.\\,a+@^$|") })),
        fc.string(),
        (globs, path) => {
          expect(coveredBy(globs)(path)).toBeTypeOf("boolean");
          expect(mayOverlap(globs, [path])).toBeTypeOf("boolean");
        },
      ),
    );
    expect(coveredBy(["x".repeat(100_000)])("x")).toBe(false);
  });

  it.each([
    ["src/a.ts", "src/a.ts", true],
    ["src/a.ts", "src/b.ts", false],
    ["src", "src/b.ts", true],
    ["src/**", "test/**", false],
    ["src/**/*.ts", "src/deep/**", true],
    ["src/*/x.ts", "src/deep/x.ts", true],
    ["src/*/x.ts", "src/deep/y.ts", false],
    ["{src,test}/**", "test/a.ts", true],
    ["docs/{a,b}.md", "src/**", false],
    ["**", "anything", true],
  ])("%s and %s may overlap: %s", (a, b, overlap) => {
    expect(mayOverlap([a], [b])).toBe(overlap);
    expect(mayOverlap([b], [a])).toBe(overlap);
  });

  it("never denies that two globs of one path overlap", () => {
    const name = fc.constantFrom("a", "b", "*", "**", "a*", "?", "{a,b}", "[ab]");
    const glob = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join("/"));
    const path = fc.array(fc.constantFrom("a", "b", "ab"), { minLength: 1, maxLength: 5 }).map((all) => all.join("/"));
    fc.assert(
      fc.property(glob, glob, path, (a, b, file) => {
        fc.pre(coveredBy([a])(file) && coveredBy([b])(file));
        expect(mayOverlap([a], [b])).toBe(true);
      }),
    );
  });
});

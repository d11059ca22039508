import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { redact, redactStream, secretsIn } from "../src/redact.js";

/** What a stream lets through of a text whose bytes are cut into pieces of these sizes. */
function streamed(text: string, sizes: readonly number[], secrets: readonly string[] = []): string {
  const bytes = Buffer.from(text);
  const stream = redactStream(secrets);
  const out: Uint8Array[] = [];
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? 1;
    out.push(stream.add(bytes.subarray(at, at + size)));
    at += size;
  }
  return Buffer.concat([...out, stream.end()]).toString();
}

const letters = (alphabet: string, min: number, max = 80) =>
  fc.string({ unit: fc.constantFrom(...alphabet), minLength: min, maxLength: max });
const CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const WORD = `${CAPITALS}abcdefghijklmnopqrstuvwxyz`;

/** Secrets of the well-known forms: the text around, and the part that must go. */
const forms = fc.oneof(
  ...["sk-", "sk-ant-api03-", "ghp_", "github_pat_", "xoxb-", "lin_api_", "glpat-", "sk_live_"].map((prefix) =>
    letters(WORD, 16).map((rest) => ({ text: prefix + rest, secret: rest })),
  ),
  letters(CAPITALS, 16, 16).map((rest) => ({ text: `AKIA${rest}`, secret: rest })),
  letters(WORD, 24).map((rest) => ({ text: `Authorization: Bearer ${rest}`, secret: rest })),
  letters(`${WORD}%!$-_`, 8).map((rest) => ({ text: `https://me:${rest}@example.org/x`, secret: rest })),
  letters(`${WORD}+/\n`, 40, 3000).map((rest) => ({
    text: `-----BEGIN RSA PRIVATE KEY-----\n${rest}\n-----END RSA PRIVATE KEY-----`,
    secret: rest,
  })),
);
const surroundings = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 300 }),
  fc.constantFrom("", "\n", " ", '"', "key=", "\\n", "\u001b[31m", "- ", '{"text":"'),
);
const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 });

/** Before a key stands no letter or digit: then it is a part of a word. */
const isApart = (before: string) => !/[A-Za-z0-9]$/.test(before) || /(?:\\n|\[31m)$/.test(before);

describe("redact", () => {
  it.each([
    ["a key", "use sk-ant-api03-abcDEF123456789xyz now", "use [redacted] now"],
    ["a key behind an escaped line end", '{"text":"key:\\nsk-proj-abcdef123456"}', '{"text":"key:\\n[redacted]"}'],
    ["a key in colour", "\u001b[31mghp_abcdefghijklmnop1234\u001b[0m", "\u001b[31m[redacted]\u001b[0m"],
    ["an AWS key", "id=AKIAIOSFODNN7EXAMPLE.", "id=[redacted]."],
    ["a bearer token", "Authorization: Bearer abc.def-123~x==", "Authorization: Bearer [redacted]"],
    ["a password of an address", "git clone https://me:pa55@host/x", "git clone https://me:[redacted]@host/x"],
    ["a database", "postgres://mu:hunter2@db:5432/mu", "postgres://mu:[redacted]@db:5432/mu"],
  ])("takes out %s", (_, text, without) => {
    expect(redact(text)).toBe(without);
    expect(streamed(text, [1])).toBe(without);
  });

  it.each([
    "mu task claim task-management-system-v2 -w shop",
    "Bearer authentication is described in https://example.org/docs:latest",
    "risk-assessment-of-the-whole-system",
    "at file:///home/me/x.ts:12:3 mail me@example.org",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    '{"type":"result","usage":{"input_tokens":12345678}}',
  ])("leaves %j as it is", (text) => {
    expect(redact(text)).toBe(text);
    expect(streamed(text, [1])).toBe(text);
  });

  it("takes out the values of variables whose names say that they are secret", () => {
    const env = {
      MY_API_KEY: "correct horse ",
      DB_PASSWORD: 'say "no" now',
      PORT_TOKEN: "short",
      HOME: "/home/mallory",
    };
    const secrets = secretsIn(env);
    expect(secrets).toEqual(["correct horse", 'say "no" now']);
    expect(redact(`correct horse at /home/mallory, ${JSON.stringify(env.DB_PASSWORD)} short`, secrets)).toBe(
      '[redacted] at /home/mallory, "[redacted]" short',
    );
  });

  it("covers secrets that overlap as one", () => {
    expect(redact("xabcdefghijklx", ["abcdefgh", "efghijkl"])).toBe("x[redacted]x");
    expect(redact("aaaaaaaaaaaa", ["aaaaaaaa"])).toBe("[redacted]");
  });

  it("keeps JSON that quotes a private key valid", () => {
    const key = `-----BEGIN PRIVATE KEY-----\n${"MIIEvQIBADAN\n".repeat(20)}`;
    const line = JSON.stringify({ text: `${key}"quoted"`, nested: JSON.stringify({ key }) });
    expect(() => JSON.parse(redact(line))).not.toThrow();
    expect(redact(line)).not.toContain("MIIEvQ");
  });

  it("lets no secret of a variable survive, however the bytes are cut", () => {
    const secret = fc.string({ unit: "grapheme", minLength: 8, maxLength: 60 }).map((text) => text.trim());
    const planted = fc.array(fc.tuple(surroundings, fc.nat()), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(fc.array(secret, { minLength: 1, maxLength: 4 }), planted, sizes, (secrets, parts, cuts) => {
        const values = secrets.filter((value) => value.length >= 8 && !"[redacted]".includes(value));
        fc.pre(values.length > 0);
        const text = parts.map(([around, which]) => around + (values[which % values.length] ?? "")).join("");
        for (const left of [redact(text, values), streamed(text, cuts, values)]) {
          for (const value of values) expect(left.includes(value)).toBe(false);
        }
      }),
      { numRuns: 400 },
    );
  });

  it("lets no secret of a well-known form survive, however the bytes are cut", () => {
    fc.assert(
      fc.property(surroundings.filter(isApart), forms, surroundings, sizes, (before, { text, secret }, after, cuts) => {
        const whole = `${before}${text} ${after}`;
        expect(redact(whole)).not.toContain(secret);
        expect(streamed(whole, cuts)).not.toContain(secret);
      }),
      { numRuns: 400 },
    );
  });

  it("loses nothing of a text without secrets, whatever its bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), sizes, (bytes, cuts) => {
        const stream = redactStream(["no such secret"]);
        const out: Uint8Array[] = [];
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = cuts[i % cuts.length] ?? 1;
          out.push(stream.add(bytes.subarray(at, at + size)));
          at += size;
        }
        const all = Buffer.concat([...out, stream.end()]);
        expect(all.toString("latin1")).toBe(redact(Buffer.from(bytes).toString("latin1"), ["no such secret"]));
      }),
    );
  });

  it("holds back a word alone, not the line", () => {
    const stream = redactStream();
    expect(Buffer.from(stream.add(Buffer.from("Working on it"))).toString()).toBe("Working on ");
    expect(Buffer.from(stream.add(Buffer.from(" now\n"))).toString()).toBe("it now\n");
  });

  it("holds a bounded part of a word without end, and drops all of a secret without end", () => {
    for (const [prefix, isSecret] of [
      ["blob=", false],
      ["sk-", true],
    ] as const) {
      const stream = redactStream();
      const chunk = Buffer.from("a1B2".repeat(16_384));
      let out = Buffer.from(stream.add(Buffer.from(prefix))).toString();
      for (let i = 0; i < 8; i++) out += Buffer.from(stream.add(chunk)).toString();
      expect(out.length > 8 * chunk.length - 2 * 65_536 - 4096).toBe(!isSecret);
      out += Buffer.from(stream.add(Buffer.from(" end"))).toString() + Buffer.from(stream.end()).toString();
      expect(out).toBe(isSecret ? "[redacted] end" : `blob=${"a1B2".repeat(16_384 * 8)} end`);
    }
  });
});

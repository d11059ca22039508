/** What stands where a secret was. */
const MARK = "[redacted]";
/** A shorter value is rarely a secret, and often a common word. */
const SHORTEST = 8;
const SECRET_NAME = /key|token|secret|passw|passphrase|credential/i;

/** The values of the variables whose names say that they are secret. */
export function secretsIn(env: Readonly<Record<string, string | undefined>>): string[] {
  const values = Object.entries(env).map(([name, value]) => (SECRET_NAME.test(name) ? (value ?? "").trim() : ""));
  return [...new Set(values)].filter((value) => value.length >= SHORTEST);
}

/** A text without these secrets and without what looks like one: keys of well-known services, passwords in addresses. */
export function redact(text: string, secrets: readonly string[] = []): string {
  return cover(text, spansIn(text, spellings(secrets)));
}

/**
 * The same for bytes that come in chunks, cut anywhere. `add` gives what can be kept already: only a word that may be the
 * beginning of a secret is held back until more comes. `end` gives the rest.
 */
export function redactStream(secrets: readonly string[] = []): {
  add(chunk: Uint8Array): Uint8Array;
  end(): Uint8Array;
} {
  // As Latin-1 a byte is a character: no chunk can tear one.
  const literals = spellings(secrets).map((text) => Buffer.from(text).toString("latin1"));
  const keep = Math.max(KEEP, ...literals.map(({ length }) => length));
  let held = "";
  let rest: RegExp | undefined;
  const release = (isLast: boolean) => {
    if (rest !== undefined) held = held.slice(rest.exec(held)?.[0].length);
    if (held !== "") rest = undefined;
    const spans = spansIn(held, literals);
    const wanted = isLast ? held.length : heldFrom(held, spans, literals);
    const isTooMuch = held.length - wanted > MOST + keep;
    const across = isTooMuch ? spans.find((span) => isAcross(span, held.length - keep)) : undefined;
    const cut = isTooMuch ? (across?.[1] ?? held.length - keep) : wanted;
    if (across?.[1] === held.length) rest = held.startsWith(KEY_BLOCK, across[0]) ? REST_OF_BLOCK : REST_OF_TOKEN;
    const released = cover(
      held.slice(0, cut),
      spans.filter(([, end]) => end <= cut),
    );
    held = held.slice(cut);
    return Buffer.from(released, "latin1");
  };
  return {
    add(chunk) {
      held += Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString("latin1");
      return release(false);
    },
    end: () => release(true),
  };
}

type Span = readonly [start: number, end: number];

/** Not in the middle of a word: `task-force` is no key. What comes before may be an escape of JSON or of a terminal. */
const BEFORE = /(?<=^|[^A-Za-z0-9]|\\[nrtbf]|\\u[\da-f]{4}|\[[\d;]{0,16}m)/;
const TOKENS = [
  /sk-[\w-]{8,}/,
  /[rs]k_(?:live|test)_\w{8,}/,
  /gh[a-z]_\w{8,}|github_pat_\w{8,}|glpat-[\w-]{8,}/,
  /A[KS]IA[A-Z0-9]{12,}|AIza[\w-]{20,}/,
  /(?:xox[a-z]|xapp)-[\w-]{8,}/,
  /lin_[a-z]+_\w{8,}|npm_\w{20,}/,
  /eyJ[\w-]{8,}\.[\w-]{8,}[\w.-]*/,
];
const KEY_BLOCK = "-----BEGIN";
const LETTERS = /[\w.~+/=-]/.source;
/** Each with what is always in it, because that is found faster. */
const FORMS: readonly { hint: RegExp; form: RegExp }[] = [
  {
    hint: /(?:sk-|[rs]k_(?:live|test)_|gh[a-z]_|github_pat_|glpat-|A[KS]IA|AIza|xox[a-z]-|xapp-|lin_|npm_|eyJ)[\w-]{8}/,
    form: new RegExp(`${BEFORE.source}(?:${TOKENS.map(({ source }) => source).join("|")})`, "dg"),
  },
  {
    // With a digit or rather long: "bearer authentication" is no token.
    hint: /[Bb][Ee][Aa][Rr][Ee][Rr]\s|[Bb][Aa][Ss][Ii][Cc]\s/,
    form: new RegExp(
      `${BEFORE.source}(?:bearer|basic)\\s{1,8}((?=${LETTERS}{0,200}\\d)${LETTERS}{8,}|${LETTERS}{24,})`,
      "dgi",
    ),
  },
  { hint: /:\/\//, form: /[a-z]:\/\/[^\s/:@"'<>\\]{0,256}:([^\s/@"'<>\\]{1,256})@/dgi },
  {
    hint: /-----BEGIN/,
    form: /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:[\w+/=\s,:.()]|\\+[nrt]|-(?!----))*(?:-----(?:END[A-Z0-9 ]{0,60}(?:-----)?)?)?/dg,
  },
];
/** What still belongs to a secret that is longer than `MOST`. */
const REST_OF_TOKEN = new RegExp(`^${LETTERS}*`);
const REST_OF_BLOCK = /^(?:[\w+/=\s,:.()-]|\\+[nrt])*/;
/** As far back the beginning of a form may lie that is not one yet, and how much may be held of one that is, in bytes. */
const KEEP = 1024;
const MOST = 65_536;

/** Where the secrets are, in order and apart. Where two overlap both are covered. */
function spansIn(text: string, literals: readonly string[]): Span[] {
  const found: Span[] = literals.flatMap((literal) => occurrences(text, literal));
  for (const { form } of FORMS.filter(({ hint }) => hint.test(text))) {
    for (const { indices } of text.matchAll(form)) {
      const span = indices?.[1] ?? indices?.[0];
      if (span !== undefined) found.push(span);
    }
  }
  const apart: [number, number][] = [];
  for (const [start, end] of found.sort(([a], [b]) => a - b)) {
    const last = apart.at(-1);
    if (last !== undefined && start < last[1]) last[1] = Math.max(last[1], end);
    else apart.push([start, end]);
  }
  return apart;
}

function occurrences(text: string, literal: string): Span[] {
  const found: Span[] = [];
  for (let at = text.indexOf(literal); at >= 0; at = text.indexOf(literal, at + 1))
    found.push([at, at + literal.length]);
  return found;
}

/** Secrets as they are, and as JSON spells them. */
function spellings(secrets: readonly string[]): string[] {
  const all = secrets.flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)]);
  return [...new Set(all)].filter((text) => text.length >= SHORTEST);
}

function cover(text: string, spans: readonly Span[]): string {
  let from = 0;
  const parts = spans.map(([start, end]) => {
    const before = text.slice(from, start);
    from = end;
    return before + MARK;
  });
  return parts.join("") + text.slice(from);
}

const isAcross = ([start, end]: Span, at: number) => start < at && at < end;

/** From where on a text may be the beginning of a secret whose rest is to come. */
function heldFrom(text: string, spans: readonly Span[], literals: readonly string[]): number {
  let from = text.length;
  while (from > 0 && !" \t\r\n\"'<>".includes(text.charAt(from - 1))) from--;
  from -= /(?:bearer|basic)\s{1,8}$/i.exec(text.slice(Math.max(0, from - 16), from))?.[0].length ?? 0;
  const header = text.lastIndexOf(KEY_BLOCK);
  if (header >= 0 && /^-----BEGIN[A-Z0-9 ]{0,60}-{0,5}$/.test(text.slice(header, header + 100)))
    from = Math.min(from, header);
  for (const literal of literals) from = Math.min(from, beginningOf(literal, text));
  const last = spans.at(-1);
  if (last?.[1] === text.length) from = Math.min(from, last[0]);
  // What is held back is whole: a secret is never cut.
  return spans.find((span) => isAcross(span, from))?.[0] ?? from;
}

/** Where the longest end of a text begins that is a beginning of `literal`. */
function beginningOf(literal: string, text: string): number {
  const first = literal.charAt(0);
  for (let at = text.indexOf(first, text.length - literal.length + 1); at >= 0; at = text.indexOf(first, at + 1)) {
    if (literal.startsWith(text.slice(at))) return at;
  }
  return text.length;
}

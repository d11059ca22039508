import { Fault } from "../../errors.js";
import { quote } from "../../names.js";

/** What stands together in a query: a word, or several that must follow each other. */
export interface Term {
  words: readonly string[];
  /** The last word is a whole word; otherwise it may be the beginning of one. */
  whole: boolean;
}

/** What separates two texts in an index entry, so that no term spans both. */
const BETWEEN = " | ";
/** In UTF-8, of the different words of an entry: PostgreSQL has no room for more. */
const MOST_BYTES = 1_000_000;

const WITHOUT_BLANKS = `[${["Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar"].map((script) => `\\p{sc=${script}}`).join("")}]`;

/**
 * A letter of a script that is written without blanks, or up to 64 letters, digits and marks: a longer word is several
 * that follow each other.
 */
const WORD = new RegExp(`${WITHOUT_BLANKS}|(?:(?!${WITHOUT_BLANKS})[\\p{L}\\p{N}\\p{M}]){1,64}`, "gu");
const ASCII_WORD = /[a-z0-9]{1,64}/g;
const ASCII = /^[\0-\x7f]*$/;

/**
 * A text as it is compared: NFKC without case, so that `STRASSE` is `Straße`. The detour over upper case is what
 * folds ß, ligatures and accents that have no capital; both sigmas are one, and so are all four kinds of i.
 */
export function foldText(text: string): string {
  if (ASCII.test(text)) return text.toLowerCase();
  const folded = text.normalize("NFKC").toLowerCase().toUpperCase().toLowerCase().normalize("NFKC");
  return folded.replaceAll("ς", "σ").replaceAll("i\u0307", "i");
}

const wordsOf = (folded: string): string[] => folded.match(ASCII.test(folded) ? ASCII_WORD : WORD) ?? [];

/** The words of some texts, as an index entry has them: in order, with blanks between them. */
export function entryOf(texts: readonly (string | null)[]): string {
  const seen = new Set<string>();
  let bytes = 0;
  const fits = (word: string) => {
    if (!seen.has(word)) bytes += Buffer.byteLength(word);
    seen.add(word);
    return bytes <= MOST_BYTES;
  };
  const parts = texts.map((text) =>
    wordsOf(foldText(text ?? ""))
      .filter(fits)
      .join(" "),
  );
  return parts.filter((words) => words !== "").join(BETWEEN);
}

/**
 * The terms of a query, all of which must be there. Blanks separate terms; quotes hold one together whose last word is
 * whole. Faults `search.no_words`.
 */
export function parseQuery(text: string): Term[] {
  const terms = foldText(text)
    .split('"')
    .flatMap((part, index): Term[] =>
      index % 2 === 1
        ? [{ words: wordsOf(part), whole: true }]
        : part.split(/\s/).map((chunk) => ({ words: wordsOf(chunk), whole: false })),
    )
    .filter(({ words }) => words.length > 0);
  if (terms.length > 0) return terms;
  throw new Fault("usage", "search.no_words", `${quote(text)} has no word to search for: no letter and no digit.`);
}

/** A term as it stands in an entry that has blanks at both ends. */
export const termText = ({ words, whole }: Term) => ` ${words.join(" ")}${whole ? " " : ""}`;

/** Whether an entry has all terms. */
export function hasTerms(entry: string, terms: readonly Term[]): boolean {
  const padded = ` ${entry} `;
  return terms.every((term) => padded.includes(termText(term)));
}

/** The first line of `texts` that has a term of a query, and which text it is in; undefined if none has. */
export function matchIn(texts: readonly (string | null)[], query: string): { index: number; line: string } | undefined {
  const terms = parseQuery(query);
  const hasTerm = (part: string) => terms.some((term) => hasTerms(entryOf([part]), [term]));
  for (const [index, text] of texts.entries()) {
    const line = text?.split("\n").find(hasTerm);
    if (line !== undefined) return { index, line: line.trim() };
  }
  return undefined;
}

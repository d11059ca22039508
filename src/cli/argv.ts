import { type Verb, wordsOf } from "../operations/verb.js";
import { expandSynonyms } from "./synonyms.js";

/** A command line with the flags that may stand anywhere moved behind the verb's words. */
export interface Line {
  /** The words before the first argument that is not part of a verb. */
  words: string[];
  /** What commander gets. */
  argv: string[];
  json: boolean;
  help: boolean;
  /** It ends before a verb: with nothing but flags that may stand anywhere. */
  bare: boolean;
}

const VALUED = new Set(["-w", "--workstream"]);
const BARE = new Set(["--json", "-y", "--yes"]);
const HELP = new Set(["-h", "--help"]);

/** A word that begins with a dash but is no flag's: `- fixed`, or `-> see`. */
const DASHED_TEXT = /^-+[^\w-]/;

/** Goes before such a word, which commander would take for a flag. No word of a command line can hold it itself. */
export const TEXT_MARK = "\0";

/** Reads the line just far enough to know which verb it calls; `mu` alone means what `alone` says. */
export function readLine(given: readonly string[], verbs: readonly Verb[], alone = () => "state"): Line {
  const known = new Set(verbs.flatMap((verb) => [wordsOf(verb.name).join(" "), ...verb.aliases]));
  const isPrefix = (words: readonly string[]) => {
    const text = words.join(" ");
    return known.has(text) || [...known].some((name) => name.startsWith(`${text} `));
  };
  const argv = expandSynonyms(given, firstWord(given), isPrefix);
  const before = argv.includes("--") ? argv.slice(0, argv.indexOf("--")) : argv;
  const words: string[] = [];
  let at = argv[0] === "help" ? 1 : 0;
  const moved: string[] = [];
  let help = argv[0] === "help" || before.some((word) => HELP.has(word));
  for (; at < argv.length; at++) {
    const word = argv[at] as string;
    if (word === "help" && words.length > 0 && !known.has(words.join(" "))) {
      help = true;
      continue;
    }
    if (VALUED.has(word)) moved.push(word, ...argv.slice(++at, at + 1));
    else if (BARE.has(word) || HELP.has(word) || /^(-w.|--workstream=)/.test(word)) moved.push(word);
    else if (!word.startsWith("-") && isPrefix([...words, word])) words.push(word);
    else break;
  }
  const rest = argv.slice(at);
  if (words.length === 0 && rest.length === 0 && !help) words.push(alone());
  const isVerb = known.has(words.join(" "));
  return {
    words,
    argv: isVerb ? [...words, ...moved, ...rest.map(markText)] : [...words, ...rest, ...moved],
    json: before.includes("--json"),
    help,
    bare: !isVerb && rest.length === 0,
  };
}

/** Where the verb begins: behind `help`, and flags that may stand anywhere. */
function firstWord(argv: readonly string[]): number {
  let at = argv[0] === "help" ? 1 : 0;
  while (at < argv.length && argv[at]?.startsWith("-")) at += VALUED.has(argv[at] ?? "") ? 2 : 1;
  return at;
}

const markText = (word: string) => (DASHED_TEXT.test(word) ? TEXT_MARK + word : word);

/** What can be filtered by, of one row: each field's value, and all its text. */
export type Fields = Readonly<Record<string, string>>;

/** One word of a filter. */
interface Term {
  not: boolean;
  field: string | undefined;
  value: string;
}

/** The words of a filter: `status:open`, `role:"qa lead"`, `!blocked`, `build`. */
function termsOf(text: string): Term[] {
  return [...text.matchAll(/(!?)(?:([\w-]+):)?(?:"([^"]*)"?|(\S+))/g)].map(([, not, field, quoted, word]) => ({
    not: not === "!",
    field: field?.toLowerCase(),
    value: (quoted ?? word ?? "").toLowerCase(),
  }));
}

/**
 * Whether a row passes a filter: every word must be found, in its field or anywhere, without regard to case; commas stand
 * for or. A field that no row has is taken as text, so that `http://x` finds itself.
 */
export function filterBy(text: string): (fields: Fields) => boolean {
  const terms = termsOf(text);
  if (terms.length === 0) return () => true;
  return (fields) => {
    const all = Object.values(fields).join("\n").toLowerCase();
    return terms.every(({ not, field, value }) => {
      const known = field !== undefined && field in fields;
      const where = known ? (fields[field] ?? "").toLowerCase() : all;
      const wanted = known || field === undefined ? value : `${field}:${value}`;
      const found = known ? wanted.split(",").some((one) => where.includes(one)) : where.includes(wanted);
      return found !== not;
    });
  };
}

/** What the last word of a filter can be completed to, as whole filters: names of fields, then a field's values. */
export function completeFilter(text: string, rows: readonly Fields[]): string[] {
  const [, before = "", word = ""] = /^(.*?)([^\s]*)$/s.exec(text) ?? [];
  const [, not = "", field, typed] = /^(!?)([\w-]+):(.*)$/.exec(word) ?? [];
  if (field === undefined || typed === undefined) {
    const names = [...new Set(rows.flatMap((fields) => Object.keys(fields)))].sort();
    const start = word.replace(/^!/, "").toLowerCase();
    return names
      .filter((name) => name !== "text" && name.startsWith(start))
      .map((name) => `${before}${word.startsWith("!") ? "!" : ""}${name}:`);
  }
  const values = new Set(rows.flatMap((fields) => (fields[field] ? (fields[field] ?? "").split(" ") : [])));
  return [...values]
    .filter((value) => value.toLowerCase().startsWith(typed.toLowerCase()))
    .sort()
    .map((value) => `${before}${not}${field}:${value} `);
}

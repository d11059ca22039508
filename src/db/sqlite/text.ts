/** One statement of a hand-written text. */
export interface SqlStatement {
  text: string;
  /** Its words, quoted names and strings, and signs; without space and comments. */
  tokens: string[];
}

const TOKEN =
  /[ \t\n\f\r\ufeff]+|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|'[^']*'|"[^"]*"|`[^`]*`|\[[^\]]*\]|[\w$\u0080-\uffff]+|[\s\S]/g;
const SPACE_OR_COMMENT = /^(?:[ \t\n\f\r\ufeff]|--|\/\*)/;

/**
 * Cuts a text at the semicolons that end a statement, as SQLite's tokenizer sees them: not in strings, quoted
 * names and comments. Bodies of triggers are cut as well: they are data definition, which nobody may run here.
 */
export function splitSql(text: string): SqlStatement[] {
  const statements: SqlStatement[] = [];
  let current: SqlStatement = { text: "", tokens: [] };
  const end = () => {
    if (current.tokens.length > 0) statements.push(current);
    current = { text: "", tokens: [] };
  };
  for (const [token] of text.matchAll(TOKEN)) {
    current.text += token;
    if (token === ";") end();
    else if (!SPACE_OR_COMMENT.test(token)) current.tokens.push(token);
  }
  end();
  return statements;
}

/** The word that says what a statement does, lower case. */
export function firstWord(statement: SqlStatement): string {
  return (statement.tokens[0] ?? "").toLowerCase();
}

/** Whether output is coloured: `FORCE_COLOR` decides if it is set, as in Node; else only a terminal is, without `NO_COLOR`. */
export function wantsColour(env: Readonly<Record<string, string | undefined>>, isTerminal: boolean): boolean {
  const { FORCE_COLOR: forced, NO_COLOR: none, TERM } = env;
  if (forced !== undefined) return forced !== "0" && forced !== "false";
  return isTerminal && !none && TERM !== "dumb";
}

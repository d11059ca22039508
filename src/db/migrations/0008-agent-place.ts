/** Where an agent lives, beside its host. */
export const agentPlace = (): string[] =>
  ["boot", "namespace", "socket"].map((column) => `alter table agents add column ${column} text`);

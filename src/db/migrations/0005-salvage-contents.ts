/** What a save holds beside commits and files, and what was too large for it. */
export const salvageContents = (): string[] => [
  "alter table salvages add column nested integer",
  "alter table salvages add column ignored integer",
  "alter table salvages add column left_out text",
];

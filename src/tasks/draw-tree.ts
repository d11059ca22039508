import type { TaskTree, TreeItem } from "./tree.js";

/** Lines are indented down to here; below, a line begins with its depth instead. */
const DEEPEST_INDENT = 32;
/** Titles are cut here, so that a line stays a line. */
const TITLE_LENGTH = 72;

/** The tree as lines for a terminal, without colours. */
export function drawTree(tree: TaskTree): string[] {
  const last = lastAmongSiblings(tree.items);
  /** `rails[d]` is what stands below an item of depth d + 1, left of its children. */
  const rails: string[] = [];
  return tree.items.map((item, at) => {
    if (item.depth === 0) return label(item);
    if (item.depth > DEEPEST_INDENT) return `${item.depth} ${label(item)}`;
    rails.length = item.depth - 1;
    const line = `${rails.join("")}${last[at] ? "└── " : "├── "}${label(item)}`;
    rails.push(last[at] ? "    " : "│   ");
    return line;
  });
}

/** Whether each item is its parent's last child; found from the end, where what follows is known. */
function lastAmongSiblings(items: readonly TreeItem[]): boolean[] {
  const last = new Array<boolean>(items.length).fill(true);
  const followed: boolean[] = [];
  for (let at = items.length - 1; at >= 0; at--) {
    const depth = items[at]?.depth ?? 0;
    last[at] = !followed[depth];
    followed.length = Math.min(followed.length, depth);
    followed[depth] = true;
  }
  return last;
}

function label({ name, status, title, repeated, until }: TreeItem): string {
  const cut = title.length > TITLE_LENGTH ? `${title.slice(0, TITLE_LENGTH - 1)}…` : title;
  const shown = cut.replace(/[\p{Control}\p{Surrogate}]+/gu, " ");
  const level = until === null || until === "closed" ? "" : ` (until ${until})`;
  return `${name} [${status}] ${shown}${level}${repeated ? " (↻ shown above)" : ""}`;
}

import { useEffect, useState } from "preact/hooks";

/** Where the page is: `/<workstream>/<view>/<what>?<query>`. */
export interface Place {
  workstream: string | undefined;
  view: string;
  /** The task, agent or job that the view is about. */
  what: string | undefined;
  query: URLSearchParams;
}

function placeNow(): Place {
  const [workstream, view, what] = location.pathname.split("/").filter(Boolean).map(decodeURIComponent);
  return { workstream, view: view ?? "", what, query: new URLSearchParams(location.search) };
}

const watchers = new Set<() => void>();
const moved = () => {
  for (const watch of watchers) watch();
};
addEventListener("popstate", moved);

export const pathTo = (workstream: string, view: string, what?: string, query: Record<string, string> = {}) => {
  const path = [workstream, view, what]
    .filter((part) => part !== undefined && part !== "")
    .map((part) => encodeURIComponent(part as string));
  const text = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "")).toString();
  return `/${path.join("/")}${text ? `?${text}` : ""}`;
};

export function go(path: string, how: "push" | "replace" = "push"): void {
  if (how === "push") history.pushState(null, "", path);
  else history.replaceState(null, "", path);
  moved();
  if (how === "push") scrollTo(0, 0);
}

export function usePlace(): Place {
  const [, redraw] = useState(0);
  useEffect(() => {
    const watch = () => redraw((n) => n + 1);
    watchers.add(watch);
    return () => void watchers.delete(watch);
  }, []);
  return placeNow();
}

/** Links of the page lead to its other views without loading it again. */
addEventListener("click", (event) => {
  const link = (event.target as Element | null)?.closest?.("a[href^='/']");
  if (!(link instanceof HTMLAnchorElement) || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || link.target) return;
  event.preventDefault();
  go(`${link.pathname}${link.search}`);
});

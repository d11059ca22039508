import { stripVTControlCharacters } from "node:util";
import type { Pane } from "../../tmux/panes.js";
import type { Screen as Captured } from "../../tmux/screens.js";
import type { AgentCli } from "../clis/cli.js";
import type { Crew } from "../crew.js";
import { type Explanation, explainScreen } from "../screen/explain.js";
import type { Screen } from "../screen/screen.js";

/** A pane with its screen, and what the screen rules of its CLI say. */
export interface Look {
  pane: Pane;
  screen: Screen;
  verdict: Explanation;
}

/** Looks at one pane closely, with colours; undefined when it is gone. One tmux call. */
export async function lookClosely(crew: Crew, cli: AgentCli, pane: Pane): Promise<Look | undefined> {
  const captured = (await crew.tmux.captureScreens([pane.id], { escapes: true })).get(pane.id);
  return captured && lookOf(cli, pane, captured);
}

/** What a captured screen says by the rules of `cli`. */
export function lookOf(cli: AgentCli, pane: Pane, captured: Captured): Look {
  const screen = toScreen(pane, captured);
  return { pane, screen, verdict: explainScreen(cli, screen) };
}

/** What tmux captured, as the screen rules read it. Rows with escape sequences are kept as `ansi` too. */
export function toScreen(pane: Pane, captured: Captured): Screen {
  const ansi = captured.lines.join("\n");
  const text = stripVTControlCharacters(ansi).replace(SHIFTS, "");
  return {
    text,
    ...(text !== ansi && { ansi }),
    title: captured.title,
    command: pane.command,
    cursorX: captured.cursorX,
    cursorY: captured.cursorY,
    width: pane.width,
    height: pane.height,
    dead: pane.dead,
  };
}

/** The screen of a pane that was not captured: what tmux tells of every pane is all there is. */
export function blankScreen(pane: Pane): Screen {
  const { title, command, cursorX, cursorY, width, height, dead } = pane;
  return { text: "", title, command, cursorX, cursorY, width, height, dead };
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: tmux marks line drawing with them
const SHIFTS = /[\x0e\x0f]/g;

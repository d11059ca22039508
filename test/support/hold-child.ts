import { execProgram } from "../../src/exec.js";
import { createTmux } from "../../src/tmux/tmux.js";

/** Looks once through a client that stays, and stays with it. */
const tmux = createTmux({ exec: execProgram, env: process.env });
await tmux.holding("mu-demo", new AbortController().signal).survey({});

import { expect, test } from "vitest";
import { readAgentsOptions } from "../../scripts/agents-options.js";
import { ALL_CLIS, EVERY_TIME } from "../../scripts/install-agent-clis.js";

test.each([
  [[], { clis: EVERY_TIME, rounds: 1, onlyStories: false }],
  [["--all"], { clis: ALL_CLIS, rounds: 10, onlyStories: true }],
  [["--all", "--rounds", "2"], { clis: ALL_CLIS, rounds: 2, onlyStories: true }],
  [["--cli", "codex", "--cli", "pi", "--rounds=3"], { clis: ["pi", "codex"], rounds: 3, onlyStories: true }],
  [["--cli", "pi", "--cli", "pi"], { clis: ["pi"], rounds: 1, onlyStories: true }],
  [["--busy"], { clis: EVERY_TIME, onlyStories: false, busy: true, recover: 0 }],
  [["--recover", "20", "--busy"], { clis: ALL_CLIS, recover: 20, busy: true }],
  [["--", "-t", "restarted"], { clis: EVERY_TIME, onlyStories: false, vitest: ["-t", "restarted"] }],
])("reads %j", (args, wanted) => {
  expect(readAgentsOptions(args)).toMatchObject(wanted);
});

test.each([
  [["--cli", "emacs"], /Unknown agent CLI: "emacs"/],
  [["--cli", ""], /Unknown agent CLI: ""/],
  [["--cli"], /argument missing/],
  [["--all", "--cli", "pi"], /either --all or --cli/],
  [["--rounds", "0"], /--rounds must be a number/],
  [["--rounds", "-1"], /ambiguous/],
  [["--rounds", "1.5"], /--rounds must be a number/],
  [["--rounds", "many"], /--rounds must be a number/],
  [["--rounds", ""], /--rounds must be a number/],
  [["--recover", "all"], /--recover must be a number/],
  [["--al"], /Unknown option '--al'/],
])("refuses %j", (args, reason) => {
  expect(() => readAgentsOptions(args)).toThrow(reason);
});

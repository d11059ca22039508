import { git } from "../../src/vcs/git/git.js";
import { newRepository } from "../support/repository.js";
import { describeBackend } from "./conformance.js";

describeBackend("git", {
  backend: git,
  available: true,
  history: true,
  newProject: async () => {
    const { world, dir, root, gitIn, end } = await newRepository();
    return {
      world,
      dir,
      root,
      end,
      stage: (cwd) => gitIn(cwd, "add", "--all"),
      commit: async (cwd, message) => {
        await gitIn(cwd, "add", "--all");
        await gitIn(cwd, "commit", "--quiet", "--allow-empty", "--message", message);
        return gitIn(cwd, "rev-parse", "HEAD");
      },
    };
  },
});

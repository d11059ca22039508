import "../../src/cli/player.js";

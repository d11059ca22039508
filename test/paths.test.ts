import { expect, it } from "vitest";
import { databasePath, stateFolder } from "../src/paths.js";

const HOME = "/home/ann";

it("keeps everything in the XDG state folder, or where MU_STATE_DIR says", () => {
  expect(stateFolder({ HOME })).toBe("/home/ann/.local/state/mu");
  expect(stateFolder({ HOME, XDG_STATE_HOME: "/var/ann" })).toBe("/var/ann/mu");
  expect(stateFolder({ HOME, MU_STATE_DIR: "/srv/mu", MU_DB_PATH: "/elsewhere/mu.db" })).toBe("/srv/mu");
  expect(databasePath({ HOME })).toBe("/home/ann/.local/state/mu/mu.db");
});

it("keeps the files of databases of other places apart, since they are named by the rows", () => {
  const one = stateFolder({ HOME, MU_DB_PATH: "/srv/one.db" });
  expect(one).toMatch(/^\/home\/ann\/\.local\/state\/mu\/databases\/[0-9a-f]{12}$/);
  expect(stateFolder({ HOME, MU_DB_PATH: "/srv/two.db" })).not.toBe(one);
  expect(stateFolder({ HOME, MU_DATABASE_URL: "postgres://box/crew" })).not.toBe(one);
  expect(stateFolder({ HOME, MU_DB_PATH: "/srv/../srv/one.db" })).toBe(one);
});

it("knows the default database by any name", () => {
  expect(stateFolder({ HOME, MU_DB_PATH: "/home/ann/.local/state/mu/mu.db" })).toBe("/home/ann/.local/state/mu");
});

import fc from "fast-check";
import { beforeEach, expect, it } from "vitest";
import { readSettings, SETTING_KEYS, settingText, valueAt, withSetting } from "../../src/workstreams/settings.js";
import { changeSetting, getSettings, initWorkstream, showWorkstream } from "../../src/workstreams/workstream.js";
import { describeOnce, onEachDialect } from "../support/database.js";

const STANDARD = {
  check: null,
  checkTimeoutSeconds: 600,
  closeRequires: null,
  branch: null,
  borders: "on",
  titles: "name",
  caches: expect.arrayContaining(["node_modules", ".venv", "target"]),
  setup: {
    copy: [],
    link: [],
    beforeCheckout: null,
    hooks: "on",
    command: null,
    key: [],
    ports: 0,
    timeoutSeconds: 600,
  },
};

onEachDialect("settings of a workstream", (bench) => {
  beforeEach(async () => void (await initWorkstream(bench.context, "demo")));

  const set = (key: string, value?: string) => changeSetting(bench.context, "demo", key, value);
  const refusal = (key: string, value?: string) => set(key, value).then(String, (fault) => [fault.code, fault.message]);

  it("have a default each, are set one by one, and go back to the default", async () => {
    expect(await getSettings(bench.context.store.db, "demo")).toEqual(STANDARD);
    expect(await set("check", " npm test ")).toMatchObject({ value: "npm test", changed: true });
    expect(await set("check", "npm test")).toMatchObject({ value: "npm test", changed: false });
    await set("checkTimeoutSeconds", "30");
    await set("closeRequires", "landed");
    await set("branch", "release/1.x");
    await set("setup.copy", ".env, src/{a,b}.json");
    await set("setup.ports", "2");
    expect((await showWorkstream(bench.context.store.db, "demo")).settings).toEqual({
      check: "npm test",
      checkTimeoutSeconds: 30,
      closeRequires: "landed",
      branch: "release/1.x",
      borders: "on",
      titles: "name",
      caches: STANDARD.caches,
      setup: { ...STANDARD.setup, copy: [".env", "src/{a,b}.json"], ports: 2 },
    });
    for (const key of SETTING_KEYS) await set(key);
    expect(await getSettings(bench.context.store.db, "demo")).toEqual(STANDARD);
    expect(await bench.context.store.db.selectFrom("workstreams").select("settings").execute()).toEqual([
      { settings: "{}" },
    ]);
  });

  it("name the nearest key of one that is none, and refuse what cannot be a value", async () => {
    expect(await refusal("closeRequire", "commit")).toEqual([
      "setting.unknown",
      expect.stringContaining("Did you mean closeRequires?"),
    ]);
    expect(await refusal("constructor", "x")).toEqual(["setting.unknown", expect.anything()]);
    for (const [key, value] of [
      ["check", "  "],
      ["checkTimeoutSeconds", "0"],
      ["checkTimeoutSeconds", "1e3"],
      ["closeRequires", "everything"],
      ["branch", "--upload-pack=x"],
      ["branch", "a b"],
      ["setup.copy", "../secrets"],
      ["setup.link", "/etc/passwd"],
      ["setup.ports", "-1"],
    ] as const) {
      expect(await refusal(key, value)).toEqual(["setting.invalid", expect.stringContaining(key)]);
    }
    expect(await getSettings(bench.context.store.db, "demo")).toEqual(STANDARD);
  });
});

describeOnce("stored settings", () => {
  it("that nobody can read count as not set, and keys of others are kept", () => {
    for (const stored of ["", "nonsense", "null", "[]", "7", '{"setup": 3, "check": [], "branch": "-x"}']) {
      expect(readSettings(stored)).toEqual(STANDARD);
    }
    expect(JSON.parse(withSetting('{"later": {"a": 1}, "setup": {"ports": "x"}}', "setup.command", "make"))).toEqual({
      later: { a: 1 },
      setup: { ports: "x", command: "make" },
    });
  });

  it("are never more than what may be set, whatever is stored", () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom(...SETTING_KEYS, "setup"), fc.jsonValue()),
        fc.option(fc.jsonValue()),
        (values, setup) => {
          const settings = readSettings(JSON.stringify({ ...values, setup }));
          const again = readSettings(JSON.stringify(settings));
          expect(again).toEqual(settings);
          for (const key of SETTING_KEYS) expect(typeof settingText(valueAt(settings, key))).toBe("string");
        },
      ),
    );
  });
});

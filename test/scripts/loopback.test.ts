import { expect, test } from "vitest";
import { confineToLoopback, NETWORK_VARIABLE } from "../../scripts/loopback.js";
import { type Exec, execProgram } from "../../src/exec.js";

const REFUSED = { code: 1, stdout: "", stderr: "unshare failed: Operation not permitted", timedOut: false };

test("a confined command has loopback and nothing else, or is told that the network is open", async () => {
  const { network, prefix, env } = await confineToLoopback();
  const interfaces = ["node", "-p", "Object.keys(os.networkInterfaces()).join()"];
  const [program = "", ...args] = [...prefix, ...interfaces];
  const { stdout } = await execProgram(program, args);
  expect(env[NETWORK_VARIABLE]).toBe(network);
  if (network === "loopback") expect(stdout.trim()).toBe("lo");
});

test("a user namespace is tried where a person may not make a network namespace alone", async () => {
  const exec: Exec = async (_file, args) => (args.includes("-r") ? { ...REFUSED, code: 0 } : REFUSED);
  expect((await confineToLoopback(exec)).prefix.slice(0, 3)).toEqual(["unshare", "-r", "-n"]);
});

test("where no namespace is allowed, telemetry and updates are switched off", async () => {
  const { network, prefix, env } = await confineToLoopback(async () => REFUSED);
  expect({ network, prefix }).toEqual({ network: "open", prefix: [] });
  expect(env).toMatchObject({ PI_OFFLINE: "1", DISABLE_TELEMETRY: "1", DISABLE_AUTOUPDATER: "1" });
});

import { platform } from "node:os";
import { execProgram } from "../exec.js";

/** Opens an address in the person's browser, where there is one; the address has been printed anyway. */
export async function openBrowser(address: string, env: NodeJS.ProcessEnv): Promise<void> {
  const isMac = platform() === "darwin";
  if (!isMac && !env["DISPLAY"] && !env["WAYLAND_DISPLAY"]) return;
  await execProgram(isMac ? "open" : "xdg-open", [address], { env }).catch(() => {});
}

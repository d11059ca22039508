import { type HookKit, type HookPlace, OWN_FILE_HEADER, ownFile, SPOOL_SCRIPT } from "../hook-kit.js";

/** The events that say something about a status; texts and files are not among them. */
const EVENTS = [
  "session.created",
  "session.status",
  "session.idle",
  "session.error",
  "session.compacted",
  "permission.asked",
  "permission.updated",
  "permission.replied",
  "question.asked",
  "question.replied",
  "question.rejected",
];

const PLUGIN = `${OWN_FILE_HEADER}
${SPOOL_SCRIPT}
const EVENTS = new Set(${JSON.stringify(EVENTS)});

export const MuPlugin = async () => {
  const put = globalThis.muReports ? undefined : openSpool();
  if (!put) return {};
  globalThis.muReports = true;
  return {
    event: async ({ event }) => {
      if (EVENTS.has(event.type)) put(event.type, event.properties ?? {});
    },
    "chat.message": async (input, output) => {
      const texts = (output.parts ?? []).filter((part) => part.type === "text" && !part.synthetic);
      put("chat.message", { sessionID: input.sessionID, text: texts.map((part) => part.text).join("\\n") });
    },
  };
};
`;

/**
 * A plugin of OpenCode. With any plugin OpenCode first installs its plugin package, and without a network it hangs on
 * a blank screen; so an agent gets the plugin only where that package is there already, and otherwise mu reads only its screen.
 */
export const opencodeHooks: HookKit = {
  agentFile: { name: "opencode.js", text: PLUGIN },
  needs: (place) => `${configOf(place)}/node_modules/@opencode-ai/plugin/package.json`,
  lasting: {
    project: ".opencode/plugins/mu.js",
    user: (place) => `${configOf(place)}/plugins/mu.js`,
    edit: ownFile(PLUGIN),
  },
};

function configOf({ home, env = {} }: HookPlace): string {
  return `${env.XDG_CONFIG_HOME || `${home}/.config`}/opencode`;
}

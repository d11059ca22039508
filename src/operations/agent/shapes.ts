/** Agent CLIs by their keys. */
export const CLI_KEYS = ["pi", "claude", "codex", "gemini", "opencode", "shell", "command"] as const;

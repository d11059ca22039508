import * as z from "zod";
import { defineOperation } from "./define.js";
import { field } from "./fields.js";

const BASH = `_mu() {
  local line
  COMPREPLY=()
  while IFS=$'\\t' read -r line _; do
    [[ $line == *[!a-zA-Z0-9_,./@:=-]* ]] && line=$(printf '%q' "$line")
    COMPREPLY+=("$line")
  done \\
    < <(mu complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _mu mu`;

const ZSH = `#compdef mu
_mu() {
  local -a found
  local value about
  while IFS=$'\\t' read -r value about; do found+=("\${value//:/\\\\:}:$about"); done \\
    < <(mu complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  _describe mu found
}
compdef _mu mu`;

const FISH = `function __mu_complete
  set -l words (commandline -opc)
  set -l typed (commandline -ct)
  mu complete -- $words[2..-1] "$typed" 2>/dev/null
end
complete -c mu -f -a '(__mu_complete)'`;

const SCRIPTS = { bash: BASH, zsh: ZSH, fish: FISH };

export const completion = defineOperation({
  name: "completion",
  summary: "Print the completion script of a shell",
  description:
    'For bash put `eval "$(mu completion bash)"` into ~/.bashrc, for zsh the same with zsh into ~/.zshrc after compinit, for fish `mu completion fish | source` into config.fish.',
  effect: "read",
  standalone: true,
  input: () => ({ shell: field(z.enum(["bash", "zsh", "fish"]), "bash, zsh or fish") }),
  output: { shell: "string", script: "string" },
  positional: ["shell"],
  examples: [
    { command: "mu completion bash", shows: "the script for bash" },
    { command: "mu completion tcsh", shows: "an unsupported shell", fault: "usage.invalid_input" },
  ],
  run: async (_app, { shell }) => ({ shell, script: SCRIPTS[shell] }),
  render: ({ script }) => script,
});

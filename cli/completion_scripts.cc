// Each script asks `coppice __complete -- WORD...` and shows the answer: one word a line, then a
// line that tells it how to use them (":files", ":goes-on" or ":").
#include <ostream>

#include "cli/completion.h"
#include "common/base/printable.h"

namespace coppice::cli {
namespace {

constexpr char kBash[] = R"bash(# Completion of coppice for bash: source <(coppice completion bash)
_coppice() {
  local cur=${COMP_WORDS[COMP_CWORD]} line=${COMP_LINE:0:COMP_POINT} directive=: cut word
  local -a words=() found=()
  # Bash breaks words at : and = as well; coppice gets them whole.
  read -ra words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  mapfile -t found < <("${words[0]}" __complete -- "${words[@]:1}" 2>/dev/null)
  ((${#found[@]})) && directive=${found[-1]} && unset 'found[-1]'
  COMPREPLY=()
  case $directive in
    :files) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    :goes-on) compopt -o nospace 2>/dev/null ;;
  esac
  cut=${words[-1]}
  cut=${cut%"$cur"}
  for word in "${found[@]}"; do COMPREPLY+=("${word#"$cut"}"); done
}
complete -F _coppice coppice
)bash";

constexpr char kZsh[] = R"zsh(#compdef coppice
# Completion of coppice for zsh: source <(coppice completion zsh), or as _coppice in a folder of $fpath
_coppice() {
  local directive
  local -a found asked
  asked=("${(@)words[2,CURRENT-1]}" "$PREFIX")
  found=("${(@f)$("${words[1]}" __complete -- "${asked[@]}" 2>/dev/null)}")
  directive=${found[-1]}
  found=("${(@)found[1,-2]}")
  case $directive in
    :files) _files ;;
    :goes-on) compadd -S '' -- "${found[@]}" ;;
    *) compadd -- "${found[@]}" ;;
  esac
}
if [[ ${funcstack[1]} == _coppice ]]; then
  _coppice "$@"
else
  compdef _coppice coppice
fi
)zsh";

constexpr char kFish[] = R"fish(# Completion of coppice for fish: coppice completion fish | source
function __coppice_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l found (command $words[1] __complete -- $words[2..-1] "$typed" 2>/dev/null)
    switch "$found[-1]"
        case :files
            __fish_complete_path "$typed"
        case '*'
            if test (count $found) -gt 1
                printf '%s\n' $found[1..-2]
            end
    end
end
complete -c coppice -f -a '(__coppice_complete)'
)fish";

}  // namespace

void PrintCompletion(const Completion& completion, std::ostream& out) {
  for (const std::string& word : completion.words) out << PrintableLine(word) << "\n";
  out << (completion.files ? ":files" : completion.goes_on ? ":goes-on" : ":") << "\n";
}

std::string CompletionScript(const std::string& shell) {
  if (shell == "bash") return kBash;
  if (shell == "zsh") return kZsh;
  if (shell == "fish") return kFish;
  return "";
}

}  // namespace coppice::cli

#include "cli/confirm.h"

#include <unistd.h>

#include <iostream>

#include "absl/strings/ascii.h"

namespace coppice::cli {

absl::StatusOr<bool> Confirm(const std::string& question, Context* context) {
  if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDERR_FILENO) != 1) {
    return absl::InvalidArgumentError(
        "nobody can be asked here, because this is no terminal; nothing was changed. Give --yes if "
        "you mean it");
  }
  context->err << question << " [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  answer = absl::AsciiStrToLower(absl::StripAsciiWhitespace(answer));
  return answer == "y" || answer == "yes";
}

}  // namespace coppice::cli

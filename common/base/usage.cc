#include "common/base/usage.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/nearest_word.h"

namespace coppice {
namespace {

bool Knows(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::string UsageAdvice(const UsageNames& names, const std::vector<std::string>& args) {
  bool after_flag = false;  // the word may be that flag's value
  for (const std::string& arg : args) {
    if (arg == "--") break;
    if (absl::StartsWith(arg, "--")) {
      const std::string flag = arg.substr(0, arg.find('='));
      after_flag = flag.size() == arg.size() && !Knows(names.switches, flag);
      if (Knows(names.flags, flag)) continue;
      const std::string nearest = NearestWord(flag, names.flags);
      return nearest.empty() ? "" : absl::StrCat("; did you mean ", nearest, "?");
    }
    const bool word = !absl::StartsWith(arg, "-") && !after_flag;
    after_flag = absl::StartsWith(arg, "-");
    if (!word || names.takes_words || Knows(names.commands, arg)) continue;
    const std::string nearest = NearestWord(arg, names.commands);
    return nearest.empty() ? "" : absl::StrCat("; did you mean '", nearest, "'?");
  }
  return "";
}

}  // namespace coppice

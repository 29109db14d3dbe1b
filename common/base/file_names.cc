#include "common/base/file_names.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace coppice {
namespace {

bool IsHex(char c) { return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f'); }

template <typename Digit>
bool ConsumeDigits(absl::string_view* text, const Digit& is_digit) {
  size_t count = 0;
  while (count < text->size() && is_digit((*text)[count])) ++count;
  text->remove_prefix(count);
  return count > 0;
}

}  // namespace

bool NameFits(absl::string_view name, absl::string_view pattern) {
  for (const char c : pattern) {
    if (c == '#') {
      if (!ConsumeDigits(&name, absl::ascii_isdigit)) return false;
    } else if (c == '%') {
      if (!ConsumeDigits(&name, IsHex)) return false;
    } else if (c == '*') {
      if (!ConsumeDigits(&name, absl::ascii_isalnum)) return false;
    } else {
      if (name.empty() || name.front() != c) return false;
      name.remove_prefix(1);
    }
  }
  return name.empty();
}

bool NameFitsOrIsUnfinished(absl::string_view name, absl::string_view pattern) {
  return NameFits(name, pattern) || NameFits(name, absl::StrCat(pattern, ".tmp-#-#")) ||
         NameFits(name, absl::StrCat(pattern, ".tmp-%"));
}

bool IsCheckpointFileName(absl::string_view name) {
  for (const char* stem : {"step-#", "resume-attempt-#-step-#", "resume-epoch-#-step-#"}) {
    for (const char* suffix : {"", ".safetensors", ".tar", ".file", ".file.*"}) {
      if (NameFitsOrIsUnfinished(name, absl::StrCat(stem, suffix))) return true;
    }
  }
  return false;
}

bool IsCheckpointArchiveName(absl::string_view name) {
  return NameFits(name, "step-#.tar") || NameFits(name, "resume-attempt-#-step-#.tar");
}

bool IsAttemptFolderName(absl::string_view name) {
  return NameFits(name, "attempt-#") || NameFits(name, "epoch-#");
}

bool ConsumeAttemptPrefix(absl::string_view* name) {
  return absl::ConsumePrefix(name, "attempt-") || absl::ConsumePrefix(name, "epoch-");
}

}  // namespace coppice

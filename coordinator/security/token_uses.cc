#include "coordinator/security/token_uses.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/secret_file.h"
#include "common/base/status_macros.h"
#include "coordinator/security/tokens.h"

namespace coppice::security {
namespace {

// No token has this name, because it does not begin with a letter or digit.
constexpr absl::string_view kSince = "-since";

std::string Write(absl::Time time) {
  return absl::FormatTime(kTokenTimeFormat, time, absl::UTCTimeZone());
}

}  // namespace

std::string TokenUsesFile(const std::string& tokens) { return tokens + ".used"; }

std::string SerializeTokenUses(const TokenUses& uses) {
  std::string text =
      absl::StrCat("# When the tokens were last used; `coppice-coordinator token list` shows it.\n",
                   kSince, " ", Write(uses.since), "\n");
  for (const auto& [name, when] : uses.last) absl::StrAppend(&text, name, " ", Write(when), "\n");
  return text;
}

absl::StatusOr<TokenUses> ParseTokenUses(absl::string_view text) {
  TokenUses uses{absl::InfiniteFuture(), {}};
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    line = absl::StripAsciiWhitespace(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ');
    absl::Time when;
    std::string error;
    if (fields.size() != 2 ||
        !absl::ParseTime(kTokenTimeFormat, fields[1], absl::UTCTimeZone(), &when, &error) ||
        (fields[0] != kSince && !CheckTokenName(fields[0]).ok())) {
      return absl::InvalidArgumentError("a line is not of the form NAME TIME");
    }
    if (fields[0] == kSince) {
      uses.since = when;
    } else {
      uses.last[std::string(fields[0])] = when;
    }
  }
  if (uses.since == absl::InfiniteFuture()) {
    return absl::InvalidArgumentError("it does not say since when");
  }
  return uses;
}

absl::StatusOr<TokenUses> LoadTokenUses(const std::string& tokens) {
  COPPICE_ASSIGN_OR_RETURN(const std::string text, ReadSecretFile(TokenUsesFile(tokens)));
  return ParseTokenUses(text);
}

}  // namespace coppice::security

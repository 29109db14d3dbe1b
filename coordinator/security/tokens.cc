#include "coordinator/security/tokens.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/names.h"
#include "common/base/status_macros.h"
#include "coordinator/security/crypto.h"

namespace coppice::security {
namespace {

constexpr int kTokenBytes = 32;
constexpr size_t kHashDigits = 64;
constexpr size_t kMaxTokenNameBytes = 64;
// A presented token is compared with every record, so more would slow down every call.
constexpr size_t kMaxTokens = 1000;
// No token is longer, so a longer one need not be hashed.
constexpr size_t kMaxTokenBytes = 512;

bool IsHash(absl::string_view text) {
  return text.size() == kHashDigits && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f');
         });
}

absl::StatusOr<TokenRecord> ParseLine(absl::string_view line) {
  const std::vector<absl::string_view> fields =
      absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (fields.size() != 4) {
    return absl::InvalidArgumentError("is not of the form NAME ROLE CREATED SHA256");
  }
  TokenRecord record;
  COPPICE_RETURN_IF_ERROR(CheckTokenName(fields[0]));
  record.name = std::string(fields[0]);
  COPPICE_ASSIGN_OR_RETURN(record.role, ParseRole(fields[1]));
  std::string error;
  if (!absl::ParseTime(kTokenTimeFormat, fields[2], absl::UTCTimeZone(), &record.created, &error)) {
    return absl::InvalidArgumentError("has a time that is not like 2026-01-31T12:00:00Z");
  }
  if (!IsHash(fields[3])) {
    return absl::InvalidArgumentError("does not end with a SHA-256 in 64 lower-case hex digits");
  }
  record.sha256 = std::string(fields[3]);
  return record;
}

}  // namespace

absl::string_view RoleName(Role role) {
  switch (role) {
    case Role::kViewer:
      return "viewer";
    case Role::kOperator:
      return "operator";
    case Role::kWorker:
      return "worker";
  }
  return "unknown";
}

absl::StatusOr<Role> ParseRole(absl::string_view text) {
  for (const Role role : {Role::kViewer, Role::kOperator, Role::kWorker}) {
    if (text == RoleName(role)) return role;
  }
  return absl::InvalidArgumentError("names no role; use viewer, operator or worker");
}

absl::StatusOr<std::string> NewToken() {
  COPPICE_ASSIGN_OR_RETURN(const std::string secret, RandomSecret(kTokenBytes));
  return absl::StrCat("coppice_", secret);
}

absl::Status CheckTokenName(absl::string_view name) {
  if (IsPlainName(name, kMaxTokenNameBytes)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("a token's name has at most ", kMaxTokenNameBytes,
                   " letters, digits, '.', '_' and '-', the first a letter or a digit"));
}

absl::StatusOr<TokenTable> TokenTable::Parse(absl::string_view text) {
  TokenTable table;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    // The line may be a token that was put there by mistake, so the message does not repeat it.
    absl::StatusOr<TokenRecord> record = ParseLine(line);
    if (!record.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", number, " ", record.status().message()));
    }
    for (const TokenRecord& other : table.records_) {
      if (other.name == record->name || other.sha256 == record->sha256) {
        return absl::InvalidArgumentError(
            absl::StrCat("line ", number, " repeats the name or the token of an earlier line"));
      }
    }
    if (table.records_.size() == kMaxTokens) {
      return absl::InvalidArgumentError(absl::StrCat("holds more than ", kMaxTokens, " tokens"));
    }
    table.records_.push_back(*std::move(record));
  }
  return table;
}

std::string TokenTable::Serialize() const {
  std::string text =
      "# Tokens that the coordinator accepts: NAME ROLE CREATED SHA256-OF-THE-TOKEN.\n"
      "# Written by `coppice-coordinator token`; a running coordinator notices changes.\n";
  for (const TokenRecord& record : records_) {
    absl::StrAppend(&text, record.name, " ", RoleName(record.role), " ",
                    absl::FormatTime(kTokenTimeFormat, record.created, absl::UTCTimeZone()), " ",
                    record.sha256, "\n");
  }
  return text;
}

absl::Status TokenTable::Add(const std::string& name, Role role, absl::Time created,
                             absl::string_view token) {
  COPPICE_RETURN_IF_ERROR(CheckTokenName(name));
  for (const TokenRecord& record : records_) {
    if (record.name == name) {
      return absl::AlreadyExistsError(
          absl::StrCat("there is a token named ", name,
                       " already; choose another name, or revoke that one first"));
    }
  }
  if (records_.size() == kMaxTokens) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the table holds ", kMaxTokens, " tokens, the most it may; revoke some"));
  }
  records_.push_back({name, role, created, Sha256Hex(token)});
  return absl::OkStatus();
}

absl::Status TokenTable::Remove(absl::string_view name) {
  const auto found = std::find_if(records_.begin(), records_.end(),
                                  [name](const TokenRecord& r) { return r.name == name; });
  if (found == records_.end()) {
    return absl::NotFoundError(
        absl::StrCat("there is no token named ", name, "; `token list` shows them"));
  }
  records_.erase(found);
  return absl::OkStatus();
}

const TokenRecord* TokenTable::Find(absl::string_view token) const {
  if (token.empty() || token.size() > kMaxTokenBytes) return nullptr;
  const std::string hash = Sha256Hex(token);
  const TokenRecord* found = nullptr;
  for (const TokenRecord& record : records_) {
    if (SameSecret(hash, record.sha256)) found = &record;
  }
  return found;
}

bool TokenTable::TakesAwayFrom(const TokenTable& before) const {
  return std::any_of(before.records_.begin(), before.records_.end(), [this](const auto& old) {
    return std::none_of(records_.begin(), records_.end(), [&old](const TokenRecord& now) {
      return now.sha256 == old.sha256 && now.role == old.role;
    });
  });
}

void TokenTable::KeepUsesOf(const TokenTable& before) {
  for (TokenRecord& record : records_) {
    for (const TokenRecord& old : before.records_) {
      if (old.name == record.name && old.sha256 == record.sha256) record.last_use = old.last_use;
    }
  }
}

}  // namespace coppice::security

// Bearer tokens and their roles.
#ifndef COPPICE_COORDINATOR_SECURITY_TOKENS_H_
#define COPPICE_COORDINATOR_SECURITY_TOKENS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "coordinator/security/token_uses.h"

namespace coppice::security {

// viewer: reads. operator: reads and changes sweeps. worker: only the RPCs for workers.
enum class Role { kViewer, kOperator, kWorker };

absl::string_view RoleName(Role role);
// INVALID_ARGUMENT, listing the roles.
absl::StatusOr<Role> ParseRole(absl::string_view text);

// A new token: `coppice_` and 256 random bits. The prefix lets a search for leaked secrets find it.
absl::StatusOr<std::string> NewToken();

struct TokenRecord {
  std::string name;  // letters, digits, '.', '_', '-'; unique in a table
  Role role = Role::kViewer;
  absl::Time created;
  std::string sha256;  // of the token, in hex; 256 random bits need no salt and no slow hash
  // Shared by all copies of a record. Not part of the table's file.
  std::shared_ptr<LastUse> last_use = std::make_shared<LastUse>();
};

absl::Status CheckTokenName(absl::string_view name);

// Purpose: the accepted tokens, as hashes only. A value: immutable while shared. Its file has one
// line per token, `NAME ROLE CREATED SHA256`, and comments after '#'. Failure codes:
// INVALID_ARGUMENT (names the line, never its content); ALREADY_EXISTS and NOT_FOUND (by name).
class TokenTable {
 public:
  static absl::StatusOr<TokenTable> Parse(absl::string_view text);
  std::string Serialize() const;

  absl::Status Add(const std::string& name, Role role, absl::Time created, absl::string_view token);
  absl::Status Remove(absl::string_view name);

  // The record of a presented token, or null. Compares with every hash in constant time, even after
  // a match.
  const TokenRecord* Find(absl::string_view token) const;
  const std::vector<TokenRecord>& records() const { return records_; }
  // True if this table refuses a token that `before` accepts, or gives it another role.
  bool TakesAwayFrom(const TokenTable& before) const;
  // Takes the last uses of common tokens over from `before`.
  void KeepUsesOf(const TokenTable& before);

 private:
  std::vector<TokenRecord> records_;
};

}  // namespace coppice::security

#endif  // COPPICE_COORDINATOR_SECURITY_TOKENS_H_

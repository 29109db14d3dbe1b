#include "coordinator/service/authenticator.h"

#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/rpc/status.h"
#include "coordinator/service/access.h"
#include "coordinator/service/caller_of.h"

namespace coppice::service {
namespace {

constexpr char kPath[] = ":path";

absl::string_view View(const grpc::string_ref& text) { return {text.data(), text.size()}; }

absl::Status Unauthenticated(absl::string_view what) {
  return absl::UnauthenticatedError(
      absl::StrCat(what,
                   "; name the file of a token that this coordinator accepts by --token-file FILE "
                   "or COPPICE_TOKEN_FILE (`coppice-coordinator token add` makes one)"));
}

}  // namespace

absl::Status Authenticator::Check(const InputMetadata& metadata, Call* call) const {
  const auto path = metadata.find(kPath);
  if (path == metadata.end()) return absl::UnauthenticatedError("the call names no method");
  call->method = View(path->second);
  if (IsOpen(call->method)) return absl::OkStatus();
  const auto [first, last] = metadata.equal_range(kAuthorization);
  if (first == last) return Unauthenticated("this coordinator asks for a token and got none");
  const absl::string_view value = View(first->second);
  if (std::next(first) != last || !absl::StartsWithIgnoreCase(value, kBearer)) {
    return Unauthenticated("the call's credentials are not one bearer token");
  }
  // Kept alive during the lookup, because a reload may replace the table.
  const std::shared_ptr<const security::TokenTable> table = tokens_->table();
  const security::TokenRecord* const record = table->Find(value.substr(kBearer.size()));
  if (record == nullptr) {
    return Unauthenticated(
        "the token is not one that this coordinator accepts; it may have been "
        "revoked or cut off");
  }
  call->token = record->name;
  record->last_use->Note(clock_->Now());
  return CheckAccess(record->role, call->method);
}

grpc::Status Authenticator::Process(const InputMetadata& metadata, grpc::AuthContext*,
                                    OutputMetadata* consumed, OutputMetadata*) {
  Call call;
  const absl::Status status = Check(metadata, &call);
  if (!status.ok() || call.token.empty()) {
    // The handler of a refused call, or of one that needs no token, must not see a presented token.
    const auto [first, last] = metadata.equal_range(kAuthorization);
    for (auto entry = first; entry != last; ++entry) {
      consumed->emplace(kAuthorization, std::string(View(entry->second)));
    }
  }
  if (!status.ok()) refusals_->Refused(status, call.method, call.token);
  return rpc::ToGrpc(status);
}

}  // namespace coppice::service

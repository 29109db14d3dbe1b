#include "coordinator/service/authenticator.h"

#include <spdlog/spdlog.h>

#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/status_macros.h"
#include "common/rpc/status.h"
#include "coordinator/service/access.h"
#include "coordinator/service/caller_of.h"

namespace coppice::service {
namespace {

constexpr char kPath[] = ":path";
constexpr char kAuthorization[] = "authorization";
constexpr absl::string_view kScheme = "Bearer ";
constexpr absl::Duration kLogEvery = absl::Seconds(10);

absl::string_view View(const grpc::string_ref& text) { return {text.data(), text.size()}; }

absl::Status Unauthenticated(absl::string_view what) {
  return absl::UnauthenticatedError(
      absl::StrCat(what,
                   "; name the file of a token that this coordinator accepts by --token-file FILE "
                   "or COPPICE_TOKEN_FILE (`coppice-coordinator token add` makes one)"));
}

}  // namespace

absl::StatusOr<std::string> Authenticator::Check(const InputMetadata& metadata) const {
  const auto path = metadata.find(kPath);
  if (path == metadata.end()) return absl::UnauthenticatedError("the call names no method");
  const absl::string_view method = View(path->second);
  if (IsOpen(method)) return "";
  const auto [first, last] = metadata.equal_range(kAuthorization);
  if (first == last) return Unauthenticated("this coordinator asks for a token and got none");
  const absl::string_view value = View(first->second);
  if (std::next(first) != last || !absl::StartsWithIgnoreCase(value, kScheme)) {
    return Unauthenticated("the call's credentials are not one bearer token");
  }
  // Held while it is looked at: a reload may replace it meanwhile.
  const std::shared_ptr<const security::TokenTable> table = tokens_->table();
  const security::TokenRecord* const record = table->Find(value.substr(kScheme.size()));
  if (record == nullptr) {
    return Unauthenticated(
        "the token is not one that this coordinator accepts; it may have been "
        "revoked or cut off");
  }
  COPPICE_RETURN_IF_ERROR(CheckAccess(record->role, method));
  return record->name;
}

grpc::Status Authenticator::Process(const InputMetadata& metadata, grpc::AuthContext* context,
                                    OutputMetadata* consumed, OutputMetadata*) {
  const absl::StatusOr<std::string> name = Check(metadata);
  const absl::Status& status = name.status();
  if (name.ok() && !name->empty()) context->AddProperty(kTokenProperty, *name);
  // What needs no token has no business with one: handlers never see it.
  const auto [first, last] = metadata.equal_range(kAuthorization);
  for (auto entry = first; entry != last; ++entry) {
    consumed->emplace(kAuthorization, std::string(View(entry->second)));
  }
  if (!status.ok()) LogRefusal(status);
  return rpc::ToGrpc(status);
}

void Authenticator::LogRefusal(const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  const absl::Duration now = clock_->Monotonic();
  if (logged_.has_value() && now - *logged_ < kLogEvery) {
    ++unlogged_;
    return;
  }
  spdlog::warn(
      "refused a call: {}{}", status.ToString(),
      unlogged_ == 0 ? "" : absl::StrCat(" (and ", unlogged_, " more since the last line)"));
  logged_ = now;
  unlogged_ = 0;
}

}  // namespace coppice::service

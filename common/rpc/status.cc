#include "common/rpc/status.h"

#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/retry_after.h"
#include "common/base/utf8.h"

namespace coppice::rpc {
namespace {

// A message travels percent-encoded in a header. A peer refuses headers of more than 8 KiB and
// would then show its own error in place of the message.
constexpr size_t kMaxEncodedMessage = 6 << 10;

constexpr char kPushback[] = "grpc-retry-pushback-ms";

std::string Shortened(absl::string_view message) {
  size_t encoded = 0;
  for (size_t i = 0; i < message.size(); ++i) {
    encoded += absl::ascii_isprint(static_cast<unsigned char>(message[i])) ? 1 : 3;
    if (encoded <= kMaxEncodedMessage) continue;
    return absl::StrCat(Utf8Prefix(message, i), " ... (cut off)");
  }
  return std::string(message);
}

}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), Shortened(status.message()));
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

void SendRetryAfter(const absl::Status& status, grpc::ServerContextBase* context) {
  const absl::Duration delay = RetryAfter(status);
  if (delay <= absl::ZeroDuration()) return;
  context->AddTrailingMetadata(kPushback, absl::StrCat(absl::ToInt64Milliseconds(delay)));
}

absl::Status FromGrpc(const grpc::Status& status, const grpc::ClientContext& context) {
  absl::Status converted = FromGrpc(status);
  if (converted.ok()) return converted;
  const auto& trailing = context.GetServerTrailingMetadata();
  const auto it = trailing.find(kPushback);
  int64_t ms = 0;
  // The value comes from a peer. Anything but a positive number counts as no delay.
  if (it == trailing.end() ||
      !absl::SimpleAtoi(absl::string_view(it->second.data(), it->second.size()), &ms) || ms <= 0) {
    return converted;
  }
  return WithRetryAfter(std::move(converted), absl::Milliseconds(ms));
}

bool IsRetryable(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status) ||
         absl::IsDeadlineExceeded(status);
}

}  // namespace coppice::rpc

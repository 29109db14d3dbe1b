#ifndef COPPICE_COMMON_BASE_RETRY_AFTER_H_
#define COPPICE_COMMON_BASE_RETRY_AFTER_H_

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace coppice {

// A refusal may say how long its caller is to wait before the next try; the wish travels with the
// status (over gRPC: rpc::SendRetryAfter). No longer than kLongestRetryAfter, whatever is asked.
inline constexpr absl::Duration kLongestRetryAfter = absl::Minutes(1);

absl::Status WithRetryAfter(absl::Status status, absl::Duration delay);
// In whole milliseconds; zero when the status asks for none.
absl::Duration RetryAfter(const absl::Status& status);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_RETRY_AFTER_H_

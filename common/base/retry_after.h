#ifndef COPPICE_COMMON_BASE_RETRY_AFTER_H_
#define COPPICE_COMMON_BASE_RETRY_AFTER_H_

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace coppice {

// A refusal may ask its caller to wait before the next try. The delay travels with the status (over
// gRPC: rpc::SendRetryAfter) and never exceeds kLongestRetryAfter.
inline constexpr absl::Duration kLongestRetryAfter = absl::Minutes(1);

absl::Status WithRetryAfter(absl::Status status, absl::Duration delay);
// The delay in whole milliseconds; zero if the status asks for none.
absl::Duration RetryAfter(const absl::Status& status);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_RETRY_AFTER_H_

#include "coordinator/core/dispatch/admission.h"

#include <algorithm>

namespace coppice::core {
namespace {

constexpr double kWeight = 1.0 / 32;
constexpr absl::Duration kLeastDelay = absl::Seconds(1);

}  // namespace

Admission::Admission(absl::Duration heartbeat_interval)
    : late_(std::max(kLeastDelay, heartbeat_interval / 10)) {}

void Admission::NoteHeartbeat(absl::Duration late_by) {
  late_share_ += kWeight * ((late_by > late_ ? 1 : 0) - late_share_);
}

size_t Admission::Room(absl::Duration now, uint64_t granted, uint64_t ended) {
  if (!behind()) {
    limited_ = false;
    return kNoLimit;
  }
  if (!limited_) {
    limited_ = true;
    since_ = now;
    granted_before_ = granted;
    ended_before_ = ended;
  }
  const auto by_time =
      static_cast<uint64_t>(absl::ToDoubleSeconds(now - since_) * kFewestPerSecond);
  const uint64_t allowed = by_time + (ended - ended_before_) / 2;
  const uint64_t taken = granted - granted_before_;
  return static_cast<size_t>(allowed - std::min(allowed, taken));
}

}  // namespace coppice::core

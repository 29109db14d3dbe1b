#include "coordinator/core/lifecycle.h"

namespace coppice::core {

const std::vector<LifecycleRow>& Lifecycle() {
  using S = JobState;
  using T = JobTrigger;
  static const std::vector<LifecycleRow>* const rows = new std::vector<LifecycleRow>{
      {S::kPending, T::kGrant, S::kRunning},       //
      {S::kPending, T::kCancel, S::kCancelled},    //
      {S::kRunning, T::kComplete, S::kSucceeded},  //
      {S::kRunning, T::kFail, S::kPending},        //
      {S::kRunning, T::kGiveUp, S::kFailed},       //
      {S::kRunning, T::kRelease, S::kPending},     //
      {S::kRunning, T::kExpire, S::kPending},      //
      {S::kRunning, T::kCancel, S::kCancelled},    //
      {S::kFailed, T::kRetry, S::kPending},        //
      {S::kCancelled, T::kRetry, S::kPending},     //
  };
  return *rows;
}

std::optional<JobState> NextState(JobState state, JobTrigger trigger) {
  for (const LifecycleRow& row : Lifecycle()) {
    if (row.state == state && row.trigger == trigger) return row.next;
  }
  return std::nullopt;
}

absl::string_view StateName(JobState state) {
  switch (state) {
    case JobState::kPending:
      return "PENDING";
    case JobState::kRunning:
      return "RUNNING";
    case JobState::kSucceeded:
      return "SUCCEEDED";
    case JobState::kFailed:
      return "FAILED";
    case JobState::kCancelled:
      return "CANCELLED";
  }
  return "UNKNOWN";
}

absl::string_view TriggerName(JobTrigger trigger) {
  switch (trigger) {
    case JobTrigger::kGrant:
      return "granted";
    case JobTrigger::kComplete:
      return "succeeded";
    case JobTrigger::kFail:
      return "attempt_failed";
    case JobTrigger::kGiveUp:
      return "failed";
    case JobTrigger::kRelease:
      return "released";
    case JobTrigger::kExpire:
      return "expired";
    case JobTrigger::kCancel:
      return "cancelled";
    case JobTrigger::kRetry:
      return "retried";
  }
  return "unknown";
}

}  // namespace coppice::core

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
      {S::kRunning, T::kExtend, S::kPending},      //
      {S::kSucceeded, T::kExtend, S::kPending},    //
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

EventType EventOf(JobTrigger trigger) {
  switch (trigger) {
    case JobTrigger::kGrant:
      return EventType::kGranted;
    case JobTrigger::kComplete:
      return EventType::kSucceeded;
    case JobTrigger::kFail:
      return EventType::kAttemptFailed;
    case JobTrigger::kGiveUp:
      return EventType::kFailed;
    case JobTrigger::kRelease:
      return EventType::kReleased;
    case JobTrigger::kExpire:
      return EventType::kExpired;
    case JobTrigger::kCancel:
      return EventType::kCancelled;
    case JobTrigger::kRetry:
      return EventType::kRetried;
    case JobTrigger::kExtend:
      break;
  }
  return EventType::kExtended;
}

}  // namespace coppice::core

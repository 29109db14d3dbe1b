#include "coordinator/core/outcomes.h"

#include <cstddef>

namespace coppice::core {
namespace {

template <typename Enum>
struct Word {
  Enum value;
  absl::string_view text;
};

// In the order of each enum.
constexpr Word<AttemptOutcome> kOutcomes[] = {
    {AttemptOutcome::kRunning, ""},
    {AttemptOutcome::kSucceeded, "succeeded"},
    {AttemptOutcome::kFailed, "failed"},
    {AttemptOutcome::kPreempted, "preempted"},
    {AttemptOutcome::kReleased, "released"},
    {AttemptOutcome::kExpired, "expired"},
    {AttemptOutcome::kCancelled, "cancelled"},
};
constexpr Word<AttemptMark> kMarks[] = {
    {AttemptMark::kNone, ""},
    {AttemptMark::kUntrained, "untrained"},
    {AttemptMark::kSuperseded, "superseded"},
};
constexpr Word<EventType> kEventTypes[] = {
    {EventType::kSubmitted, "submitted"},   {EventType::kGranted, "granted"},
    {EventType::kCheckpoint, "checkpoint"}, {EventType::kCheckpointRejected, "checkpoint_rejected"},
    {EventType::kSucceeded, "succeeded"},   {EventType::kAttemptFailed, "attempt_failed"},
    {EventType::kFailed, "failed"},         {EventType::kReleased, "released"},
    {EventType::kExpired, "expired"},       {EventType::kCancelled, "cancelled"},
    {EventType::kRetried, "retried"},       {EventType::kExtended, "extended"},
};

template <typename Enum, size_t N>
constexpr bool IsInOrder(const Word<Enum> (&words)[N]) {
  for (size_t i = 0; i < N; ++i) {
    if (static_cast<size_t>(words[i].value) != i) return false;
  }
  return true;
}
static_assert(IsInOrder(kOutcomes) && IsInOrder(kMarks) && IsInOrder(kEventTypes));

template <typename Enum, size_t N>
std::optional<Enum> Find(const Word<Enum> (&words)[N], absl::string_view text) {
  for (const Word<Enum>& word : words) {
    if (word.text == text) return word.value;
  }
  return std::nullopt;
}

}  // namespace

absl::string_view OutcomeText(AttemptOutcome outcome) {
  return kOutcomes[static_cast<size_t>(outcome)].text;
}
absl::string_view MarkText(AttemptMark mark) { return kMarks[static_cast<size_t>(mark)].text; }
absl::string_view EventTypeText(EventType type) {
  return kEventTypes[static_cast<size_t>(type)].text;
}

std::optional<AttemptOutcome> OutcomeFromText(absl::string_view text) {
  return Find(kOutcomes, text);
}
std::optional<AttemptMark> MarkFromText(absl::string_view text) { return Find(kMarks, text); }
std::optional<EventType> EventTypeFromText(absl::string_view text) {
  return Find(kEventTypes, text);
}

}  // namespace coppice::core

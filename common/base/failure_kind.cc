#include "common/base/failure_kind.h"

namespace coppice {
namespace {

struct Entry {
  FailureKind kind;
  absl::string_view text;
  bool of_trainer;
};

constexpr Entry kEntries[] = {
    {FailureKind::kNan, "nan", true},
    {FailureKind::kCheckpoint, "checkpoint", true},
    {FailureKind::kData, "data", true},
    {FailureKind::kOutOfMemory, "out_of_memory", true},
    {FailureKind::kDisk, "disk", true},
    {FailureKind::kInternal, "internal", true},
    {FailureKind::kRefused, "refused", false},
    {FailureKind::kCrashed, "crashed", false},
    {FailureKind::kGarbage, "garbage", false},
    {FailureKind::kStalled, "stalled", false},
    {FailureKind::kTimeLimit, "time_limit", false},
};

constexpr bool IsInOrder() {
  for (int i = 0; const Entry& entry : kEntries) {
    if (static_cast<int>(entry.kind) != i++) return false;
  }
  return true;
}
static_assert(IsInOrder());

const Entry& EntryOf(FailureKind kind) { return kEntries[static_cast<int>(kind)]; }

}  // namespace

absl::string_view FailureKindText(FailureKind kind) { return EntryOf(kind).text; }

std::optional<FailureKind> FailureKindFromText(absl::string_view text) {
  for (const Entry& entry : kEntries) {
    if (entry.text == text) return entry.kind;
  }
  return std::nullopt;
}

bool IsOfTrainer(FailureKind kind) { return EntryOf(kind).of_trainer; }

}  // namespace coppice

#include "coordinator/pools/pool.h"

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"

namespace coppice::pools {
namespace {

constexpr std::array<std::pair<PoolMode, absl::string_view>, 4> kModeNames = {{
    {PoolMode::kRunning, "running"},
    {PoolMode::kPaused, "paused"},
    {PoolMode::kDraining, "draining"},
    {PoolMode::kStopped, "stopped"},
}};

constexpr std::array<std::pair<AllocationState, absl::string_view>, 5> kStateNames = {{
    {AllocationState::kIntended, "intended"},
    {AllocationState::kQueued, "queued"},
    {AllocationState::kRunning, "running"},
    {AllocationState::kEnded, "ended"},
    {AllocationState::kUnknown, "unknown"},
}};

template <typename Table, typename Value>
absl::string_view NameIn(const Table& table, Value value) {
  for (const auto& [entry, name] : table) {
    if (entry == value) return name;
  }
  return "";
}

template <typename Table, typename Value>
bool ParseIn(const Table& table, absl::string_view name, Value* value) {
  for (const auto& [entry, word] : table) {
    if (word != name) continue;
    *value = entry;
    return true;
  }
  return false;
}

}  // namespace

absl::string_view PoolModeName(PoolMode mode) { return NameIn(kModeNames, mode); }
bool ParsePoolMode(absl::string_view name, PoolMode* mode) {
  return ParseIn(kModeNames, name, mode);
}
absl::string_view AllocationStateName(AllocationState state) { return NameIn(kStateNames, state); }
bool ParseAllocationState(absl::string_view name, AllocationState* state) {
  return ParseIn(kStateNames, name, state);
}

std::string AllocationKey(absl::string_view store_id, absl::string_view pool, uint64_t sequence) {
  return absl::StrCat(store_id.substr(0, 8), "-", pool, "-", sequence);
}

absl::string_view PoolOfKey(absl::string_view key) {
  const size_t first = key.find('-');
  const size_t last = key.rfind('-');
  if (first == absl::string_view::npos || first == last) return "";
  return key.substr(first + 1, last - first - 1);
}

}  // namespace coppice::pools

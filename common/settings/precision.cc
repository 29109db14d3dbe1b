#include "common/settings/precision.h"

namespace coppice::settings {
namespace {

struct Entry {
  Precision precision;
  absl::string_view text;
};

constexpr Entry kEntries[] = {{Precision::kFloat32, "float32"}, {Precision::kTf32, "tf32"}};

}  // namespace

absl::string_view PrecisionText(Precision precision) {
  return kEntries[static_cast<int>(precision)].text;
}

std::optional<Precision> PrecisionFromText(absl::string_view text) {
  for (const Entry& entry : kEntries) {
    if (entry.text == text) return entry.precision;
  }
  return std::nullopt;
}

}  // namespace coppice::settings

#include "common/base/device_spec.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace coppice {
namespace {

struct Entry {
  DeviceKind kind;
  absl::string_view text;
};

constexpr Entry kEntries[] = {
    {DeviceKind::kAuto, "auto"}, {DeviceKind::kCpu, "cpu"}, {DeviceKind::kCuda, "cuda"}};

absl::string_view TextOf(DeviceKind kind) { return kEntries[static_cast<int>(kind)].text; }

}  // namespace

std::string DeviceSpecText(const DeviceSpec& spec) {
  if (!spec.index.has_value()) return std::string(TextOf(spec.kind));
  return absl::StrCat(TextOf(spec.kind), ":", *spec.index);
}

std::optional<DeviceSpec> DeviceSpecFromText(absl::string_view text) {
  // GCC 12 warns of the index that is not there where a whole DeviceSpec is copied.
  std::optional<DeviceSpec> spec(std::in_place);
  for (const Entry& entry : kEntries) {
    if (entry.text != text) continue;
    spec->kind = entry.kind;
    return spec;
  }
  int index = 0;
  if (!absl::ConsumePrefix(&text, TextOf(DeviceKind::kCuda)) || !absl::ConsumePrefix(&text, ":") ||
      !absl::SimpleAtoi(text, &index) || index < 0) {
    return std::nullopt;
  }
  spec->kind = DeviceKind::kCuda;
  spec->index = index;
  return spec;
}

std::vector<std::string> DeviceKindTexts() {
  std::vector<std::string> texts;
  for (const Entry& entry : kEntries) texts.emplace_back(entry.text);
  return texts;
}

}  // namespace coppice

// The device that a user asks for: one list of words for the trainer and the worker.
#ifndef COPPICE_COMMON_BASE_DEVICE_SPEC_H_
#define COPPICE_COMMON_BASE_DEVICE_SPEC_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace coppice {

enum class DeviceKind {
  kAuto,  // a CUDA device if there is one, else the CPU
  kCpu,
  kCuda,
};

struct DeviceSpec {
  DeviceKind kind = DeviceKind::kAuto;
  // Only for kCuda: "cuda:1" is the second visible device. Unset: the first one.
  std::optional<int> index = std::nullopt;

  bool operator==(const DeviceSpec&) const = default;
};

// Returns "auto", "cpu", "cuda" or "cuda:1".
std::string DeviceSpecText(const DeviceSpec& spec);
// Returns nothing for a text that names no device.
std::optional<DeviceSpec> DeviceSpecFromText(absl::string_view text);
// The words of the kinds, for a list of choices.
std::vector<std::string> DeviceKindTexts();

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_DEVICE_SPEC_H_

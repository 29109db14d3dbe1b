// The precision of a run's matrix products on a GPU: the setting train.precision.
#ifndef COPPICE_COMMON_SETTINGS_PRECISION_H_
#define COPPICE_COMMON_SETTINGS_PRECISION_H_

#include <optional>

#include "absl/strings/string_view.h"

namespace coppice::settings {

// A CPU always computes in float32.
enum class Precision { kFloat32, kTf32 };

// The words are those of the table (run_settings.cc); a test compares them.
absl::string_view PrecisionText(Precision precision);
// Returns nothing for a text that names no precision.
std::optional<Precision> PrecisionFromText(absl::string_view text);

}  // namespace coppice::settings

#endif  // COPPICE_COMMON_SETTINGS_PRECISION_H_

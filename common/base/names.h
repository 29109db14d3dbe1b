// Rules for names that several layers check.
#ifndef COPPICE_COMMON_BASE_NAMES_H_
#define COPPICE_COMMON_BASE_NAMES_H_

#include <cstddef>

#include "absl/strings/string_view.h"

namespace coppice {

// True for 1 to `max_bytes` letters, digits, '.', '_' and '-', the first a letter or a digit. Such
// a name may be a folder's, and stands unquoted in a shell. Sweeps and tokens have such names.
bool IsPlainName(absl::string_view name, size_t max_bytes);

// True for 1 to kMaxMetricNameBytes visible ASCII characters.
bool IsMetricName(absl::string_view name);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_NAMES_H_

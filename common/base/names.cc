#include "common/base/names.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "common/base/limits.h"

namespace coppice {

bool IsPlainName(absl::string_view name, size_t max_bytes) {
  const auto allowed = [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= max_bytes &&
         absl::ascii_isalnum(static_cast<unsigned char>(name.front())) &&
         std::all_of(name.begin(), name.end(), allowed);
}

bool IsMetricName(absl::string_view name) {
  return !name.empty() && name.size() <= kMaxMetricNameBytes &&
         std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return absl::ascii_isgraph(c); });
}

}  // namespace coppice

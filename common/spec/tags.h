// Words for finding a sweep.
#ifndef COPPICE_COMMON_SPEC_TAGS_H_
#define COPPICE_COMMON_SPEC_TAGS_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace coppice::spec {

inline constexpr size_t kMaxTagsOfSweep = 20;
inline constexpr size_t kMaxTagBytes = 50;

// The mistake in a tag with the remedy; empty: none. A tag has letters, digits, '.', '_' and '-',
// the first a letter or a digit. Follows the place of the tag in a message.
std::string TagMistake(absl::string_view tag);

}  // namespace coppice::spec

#endif  // COPPICE_COMMON_SPEC_TAGS_H_

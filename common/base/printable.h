// Makes text from others safe to show. On a terminal some bytes are commands (colors, the title,
// the clipboard, the cursor), and some characters reverse the reading direction.
#ifndef COPPICE_COMMON_BASE_PRINTABLE_H_
#define COPPICE_COMMON_BASE_PRINTABLE_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace coppice {

struct Utf8Character {
  uint32_t code = 0;
  size_t bytes = 1;
  bool valid = false;  // false: one byte that is not UTF-8
};
// The first character of a non-empty text, by the strict rules: no overlong forms, no surrogates,
// nothing past U+10FFFF.
Utf8Character FirstCharacter(absl::string_view text);

// Whether `text` contains no newline, no tab, and nothing that Printable would replace.
bool IsPrintable(absl::string_view text);

// Control characters become spaces, except newline and tab. Everything else that drives a terminal
// or misleads a reader becomes "?": U+0080 to U+009F, also as single bytes, the bidirectional
// controls U+061C, U+200E, U+200F, U+202A to U+202E and U+2066 to U+2069, the line ends U+2028 and
// U+2029, and every byte that is not part of valid UTF-8.
std::string Printable(absl::string_view text);

// The same, but newlines and tabs become spaces too.
std::string PrintableLine(absl::string_view text);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_PRINTABLE_H_

// Text that others wrote, before it is shown: on a terminal some bytes are commands (colours, the
// title, the clipboard, the cursor), and some characters turn the reading direction around.
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
  bool valid = false;  // otherwise it is one byte that is no UTF-8
};
// The first character of a text that is not empty, by the strict rules: no overlong forms, no
// surrogates, nothing past U+10FFFF.
Utf8Character FirstCharacter(absl::string_view text);

// Whether nothing in `text` is what Printable replaces, nor a newline or a tab.
bool IsPrintable(absl::string_view text);

// Control characters become spaces, except newline and tab. Everything else that drives a terminal
// or misleads a reader becomes "?": U+0080 to U+009F, also as single bytes, the bidirectional
// controls U+061C, U+200E, U+200F, U+202A to U+202E and U+2066 to U+2069, the line ends U+2028 and
// U+2029, and every byte that is not part of valid UTF-8.
std::string Printable(absl::string_view text);

// The same in one line: newlines and tabs become spaces too.
std::string PrintableLine(absl::string_view text);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_PRINTABLE_H_

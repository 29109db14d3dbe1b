// Cuts and repairs text without breaking a UTF-8 character.
#ifndef COPPICE_COMMON_BASE_UTF8_H_
#define COPPICE_COMMON_BASE_UTF8_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace coppice {

// True if the byte continues a character, that is, does not begin one.
inline bool IsUtf8Continuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

// The first or last bytes of a text that is UTF-8: at most `maximum`, and only whole characters.
std::string Utf8Prefix(absl::string_view text, size_t maximum);
std::string Utf8Suffix(absl::string_view text, size_t maximum);

// Replaces bytes that are not part of a valid UTF-8 sequence by U+FFFD. Output of a program may be
// invalid UTF-8, but a protobuf string must be valid.
std::string ToValidUtf8(absl::string_view bytes);

// Returns the number of bytes at the end of `bytes` that begin an incomplete sequence (0 to 3).
size_t IncompleteUtf8Tail(absl::string_view bytes);

// The last `maximum` bytes of any text, repaired to valid UTF-8.
std::string Utf8Tail(absl::string_view bytes, size_t maximum);

// The first `maximum` bytes of any text, repaired to valid UTF-8, with "..." if something was cut.
std::string Utf8Head(absl::string_view bytes, size_t maximum);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_UTF8_H_

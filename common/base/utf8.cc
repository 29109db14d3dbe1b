#include "common/base/utf8.h"

#include <algorithm>
#include <cstdint>

#include "common/base/printable.h"

namespace coppice {
namespace {

constexpr absl::string_view kReplacement = "\xEF\xBF\xBD";

// Length of the sequence that a leading byte announces; 0 if the byte leads none.
size_t AnnouncedLength(uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  if (lead >= 0xF0 && lead <= 0xF4) return 4;
  return 0;
}

}  // namespace

std::string Utf8Prefix(absl::string_view text, size_t maximum) {
  size_t end = std::min(maximum, text.size());
  while (end > 0 && end < text.size() && IsUtf8Continuation(text[end])) --end;
  return std::string(text.substr(0, end));
}

std::string Utf8Suffix(absl::string_view text, size_t maximum) {
  size_t from = text.size() - std::min(maximum, text.size());
  while (from > 0 && from < text.size() && IsUtf8Continuation(text[from])) ++from;
  return std::string(text.substr(from));
}

std::string ToValidUtf8(absl::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const Utf8Character next = FirstCharacter(bytes);
    const absl::string_view piece = next.valid ? bytes.substr(0, next.bytes) : kReplacement;
    text.append(piece.data(), piece.size());
    bytes.remove_prefix(next.bytes);
  }
  return text;
}

size_t IncompleteUtf8Tail(absl::string_view bytes) {
  for (size_t back = 1; back <= std::min<size_t>(3, bytes.size()); ++back) {
    const char byte = bytes[bytes.size() - back];
    if (IsUtf8Continuation(byte)) continue;
    return AnnouncedLength(static_cast<uint8_t>(byte)) > back ? back : 0;
  }
  return 0;
}

std::string Utf8Tail(absl::string_view bytes, size_t maximum) {
  if (bytes.size() > maximum) {
    bytes.remove_prefix(bytes.size() - maximum);
    // The tail must not begin in the middle of a character.
    for (int i = 0; i < 3 && !bytes.empty() && IsUtf8Continuation(bytes[0]); ++i) {
      bytes.remove_prefix(1);
    }
  }
  std::string text = ToValidUtf8(bytes);
  // A replacement is longer than what it replaces.
  return text.size() <= maximum ? text : Utf8Tail(text, maximum);
}

std::string Utf8Head(absl::string_view bytes, size_t maximum) {
  if (bytes.size() <= maximum) {
    std::string text = ToValidUtf8(bytes);
    if (text.size() <= maximum) return text;
    return Utf8Head(text, maximum);
  }
  absl::string_view head = bytes.substr(0, maximum > 3 ? maximum - 3 : 0);
  head.remove_suffix(IncompleteUtf8Tail(head));
  std::string text = ToValidUtf8(head);
  if (text.size() + 3 > maximum) return Utf8Head(text, maximum);
  return text + "...";
}

}  // namespace coppice

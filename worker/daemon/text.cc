#include "worker/daemon/text.h"

#include <algorithm>
#include <cstdint>

namespace coppice::worker {
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

// The second byte's range depends on the first: no overlong forms, no surrogates, nothing past
// U+10FFFF.
bool ValidSecond(uint8_t lead, uint8_t second) {
  const uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  return second >= low && second <= high;
}

// Length of the valid sequence at the front; 0 if there is none.
size_t SequenceLength(absl::string_view bytes) {
  const size_t length = AnnouncedLength(static_cast<uint8_t>(bytes[0]));
  if (length == 0 || bytes.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    const uint8_t byte = static_cast<uint8_t>(bytes[i]);
    const bool valid =
        i == 1 ? ValidSecond(static_cast<uint8_t>(bytes[0]), byte) : (byte & 0xC0) == 0x80;
    if (!valid) return 0;
  }
  return length;
}

}  // namespace

std::string ToValidUtf8(absl::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const size_t length = SequenceLength(bytes);
    const absl::string_view piece = length == 0 ? kReplacement : bytes.substr(0, length);
    text.append(piece.data(), piece.size());
    bytes.remove_prefix(length == 0 ? 1 : length);
  }
  return text;
}

size_t IncompleteUtf8Tail(absl::string_view bytes) {
  for (size_t back = 1; back <= std::min<size_t>(3, bytes.size()); ++back) {
    const uint8_t byte = static_cast<uint8_t>(bytes[bytes.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    return AnnouncedLength(byte) > back ? back : 0;
  }
  return 0;
}

std::string Utf8Tail(absl::string_view bytes, size_t maximum) {
  if (bytes.size() > maximum) {
    bytes.remove_prefix(bytes.size() - maximum);
    // The tail must not begin in the middle of a character.
    for (int i = 0; i < 3 && !bytes.empty() && (bytes[0] & 0xC0) == 0x80; ++i) {
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

}  // namespace coppice::worker

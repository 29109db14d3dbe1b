#include "common/base/printable.h"

#include "absl/strings/ascii.h"

namespace coppice {
namespace {

bool Misleads(uint32_t code) {
  return (code >= 0x80 && code <= 0x9F) || code == 0x061C || code == 0x200E || code == 0x200F ||
         (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

}  // namespace

Utf8Character FirstCharacter(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  size_t bytes = 0;
  uint32_t code = 0, lowest = 0;
  if (lead >= 0xC2 && lead <= 0xDF) {
    bytes = 2, code = lead & 0x1F, lowest = 0x80;
  } else if ((lead & 0xF0) == 0xE0) {
    bytes = 3, code = lead & 0x0F, lowest = 0x800;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    bytes = 4, code = lead & 0x07, lowest = 0x10000;
  }
  if (bytes == 0 || text.size() < bytes) return {};
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3F);
  }
  if (code < lowest || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return {};
  return {code, bytes, true};
}

bool IsPrintable(absl::string_view text) {
  while (!text.empty()) {
    const Utf8Character next = FirstCharacter(text);
    if (!next.valid || Misleads(next.code)) return false;
    if (next.bytes == 1 && absl::ascii_iscntrl(static_cast<unsigned char>(text[0]))) return false;
    text.remove_prefix(next.bytes);
  }
  return true;
}

std::string Printable(absl::string_view text) {
  std::string shown;
  shown.reserve(text.size());
  while (!text.empty()) {
    const Utf8Character next = FirstCharacter(text);
    const auto c = static_cast<unsigned char>(text[0]);
    if (!next.valid || Misleads(next.code)) {
      shown.push_back('?');
    } else if (next.bytes == 1 && absl::ascii_iscntrl(c) && c != '\n' && c != '\t') {
      shown.push_back(' ');
    } else {
      shown.append(text.data(), next.bytes);
    }
    text.remove_prefix(next.bytes);
  }
  return shown;
}

std::string PrintableLine(absl::string_view text) {
  std::string line = Printable(text);
  for (char& c : line) {
    if (c == '\n' || c == '\t') c = ' ';
  }
  return line;
}

}  // namespace coppice

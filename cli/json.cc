#include "cli/json.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "common/base/printable.h"
#include "common/spec/json_options.h"

namespace coppice::cli {
namespace {

// Removes `"name": []` with the comma before it. A quote within a string has a backslash before it,
// so that only keys match. Others come before these fields in every message.
void RemoveEmptyLists(absl::string_view name, std::string* json) {
  const std::string key = absl::StrCat("\"", name, "\":");
  for (size_t at = json->find(key); at != std::string::npos; at = json->find(key, at)) {
    size_t end = at + key.size();
    if (end < json->size() && (*json)[end] == ' ') ++end;
    const size_t comma = at == 0 ? std::string::npos : json->find_last_not_of(" \n", at - 1);
    const bool empty = json->compare(end, 2, "[]") == 0;
    if (!empty || comma == std::string::npos || (*json)[comma] != ',') {
      at = end;
      continue;
    }
    json->erase(comma, end + 2 - comma);
    at = comma;
  }
}

}  // namespace

std::string EscapeControls(const std::string& json) {
  if (std::all_of(json.begin(), json.end(), [](unsigned char c) { return c < 0x7F; })) return json;
  std::string escaped;
  escaped.reserve(json.size());
  for (size_t i = 0; i < json.size();) {
    const absl::string_view rest = absl::string_view(json).substr(i);
    const Utf8Character next = FirstCharacter(rest);
    if (next.code < 0x7F || IsPrintable(rest.substr(0, next.bytes))) {
      escaped.append(rest.data(), next.bytes);
    } else {
      absl::StrAppendFormat(&escaped, "\\u%04x", next.code);
    }
    i += next.bytes;
  }
  return escaped;
}

std::string ToJson(const google::protobuf::Message& message, bool pretty) {
  google::protobuf::util::JsonPrintOptions options = spec::JsonOptions();
  options.add_whitespace = pretty;
  std::string json;
  // It fails only on invalid UTF-8, and a message from the network is valid already.
  if (!google::protobuf::util::MessageToJsonString(message, &json, options).ok()) return "{}";
  for (const char* name : {"point", "axes", "exclude", "settings"}) RemoveEmptyLists(name, &json);
  return EscapeControls(json);
}

}  // namespace coppice::cli

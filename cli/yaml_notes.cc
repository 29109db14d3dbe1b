#include "cli/yaml_notes.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace coppice::cli {
namespace {

constexpr size_t kMaxMistakes = 1'000;

}  // namespace

void YamlNotes::Add(const YAML::Node& node, const std::string& path, const std::string& message) {
  if (full()) return;
  mistakes_.push_back({At(node), path.empty() ? message : absl::StrCat(path, " ", message)});
}

void YamlNotes::SamePlace(const std::string& path, const std::string& from) {
  if (const auto found = positions_.find(from); found != positions_.end())
    positions_[path] = found->second;
}

Position YamlNotes::At(const YAML::Node& node) const {
  Position at = PositionOf(node.Mark());
  at.flag = flag_;
  return at;
}

bool YamlNotes::full() const { return mistakes_.size() >= kMaxMistakes; }

Position PositionOf(const YAML::Mark& mark) {
  // yaml-cpp gives -1 for a node that it created itself.
  return {std::max(mark.line, 0) + 1, std::max(mark.column, 0) + 1, ""};
}

std::string Quote(const std::string& text) {
  std::string shown = absl::Utf8SafeCEscape(absl::string_view(text).substr(0, 60));
  return absl::StrCat("'", shown, text.size() > 60 ? "...'" : "'");
}

std::string PathBelow(const std::string& path, absl::string_view name) {
  return path.empty() ? std::string(name) : absl::StrCat(path, ".", name);
}

const char* KindOf(const YAML::Node& node) {
  if (node.IsMap()) return "a map";
  if (node.IsSequence()) return "a list";
  return "a single value";
}

std::vector<YAML::Node> ItemsOf(const YAML::Node& node) {
  if (!node.IsSequence()) return {node};
  std::vector<YAML::Node> items;
  items.reserve(node.size());
  for (const YAML::Node& item : node) items.push_back(item);
  return items;
}

bool IsWhole(absl::string_view text) {
  if (absl::StartsWith(text, "-")) text.remove_prefix(1);
  if (text.empty() || (text.size() > 1 && text[0] == '0')) return false;
  return text.find_first_not_of("0123456789") == absl::string_view::npos;
}

std::string WholeNumberHint(const std::string& text) {
  std::string digits;
  for (const char c : text) {
    if (c != '_' && c != ',' && c != '\'') digits.push_back(c);
  }
  double value = 0;
  if (absl::SimpleAtod(digits, &value) && value >= 0 && value < 4294967296.0 &&
      value == std::floor(value)) {
    return absl::StrCat("write ", static_cast<uint64_t>(value));
  }
  return "use digits, for example 1000";
}

bool IsRange(const std::string& text, std::pair<std::string, std::string>* ends) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits('-', 1));
  ends->first = std::string(absl::StripAsciiWhitespace(parts.first));
  ends->second = std::string(absl::StripAsciiWhitespace(parts.second));
  return IsWhole(ends->first) && IsWhole(ends->second) && ends->second[0] != '-';
}

bool CheckPlainScalar(const YAML::Node& node, const std::string& path, const char* expected,
                      YamlNotes* notes) {
  if (node.IsNull() || !node.IsDefined()) {
    notes->Add(node, path, "has no value; give it one or remove it");
    return false;
  }
  if (!node.IsScalar()) {
    notes->Add(node, path, absl::StrCat("is ", KindOf(node), "; use ", expected));
    return false;
  }
  const std::string& tag = node.Tag();
  if (!tag.empty() && tag != "?" && tag != "!") {
    notes->Add(node, path, absl::StrCat("has the tag ", Quote(tag), "; remove it"));
    return false;
  }
  return true;
}

}  // namespace coppice::cli

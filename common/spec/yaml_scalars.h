// Scalars and lists of a spec's text. Private to this library.
#ifndef COPPICE_COMMON_SPEC_YAML_SCALARS_H_
#define COPPICE_COMMON_SPEC_YAML_SCALARS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/settings/setting.h"

namespace coppice::spec {

// A word, in quotes unless every reader of YAML takes it for a word without them.
std::string YamlWord(absl::string_view text);
// The same, but digits stay without quotes: for places that hold nothing but words.
std::string YamlWordOrDigits(absl::string_view text);
std::string YamlValue(const settings::Value& value);
// The value of a program's setting, from its JSON text.
std::string YamlProgramValue(const std::string& json);

// Three or more neighbors that rise by one become a range: "0-4". Entries that are not digits alone
// stay.
std::vector<std::string> WithRanges(const std::vector<std::string>& entries);

// Writes lines of block style, with lists and maps in one line each that is broken where it would
// be too long. Not thread-safe.
class YamlLines {
 public:
  // "head" alone, for example "axes:".
  void Line(int indent, absl::string_view head);
  // "head: [a, b]". A list of one stands for its entry.
  void List(int indent, absl::string_view head, const std::vector<std::string>& entries);
  // "head: {a: 1, b: 2}"
  void Map(int indent, absl::string_view head, const std::vector<std::string>& entries);
  // "- {a: 1, b: 2}"
  void MapItem(int indent, const std::vector<std::string>& entries);

  const std::string& text() const { return text_; }

 private:
  void Flow(int indent, absl::string_view head, char open, const std::vector<std::string>& entries,
            char close);
  std::string text_;
};

// "[a, b]", or the entry alone.
std::string YamlInlineList(const std::vector<std::string>& entries);

}  // namespace coppice::spec

#endif  // COPPICE_COMMON_SPEC_YAML_SCALARS_H_

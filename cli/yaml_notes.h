// Shared by the readers of a spec's parts: the mistakes they find, the places of what they read,
// and the forms of scalars. Internal to the spec reader.
#ifndef COPPICE_CLI_YAML_NOTES_H_
#define COPPICE_CLI_YAML_NOTES_H_

#include <yaml-cpp/yaml.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "cli/spec_reader.h"

namespace coppice::cli {

struct Mistake {
  Position at;
  std::string message;
};

// Collects mistakes, so that a reader need not stop at the first. Not thread-safe.
class YamlNotes {
 public:
  // The message follows the path, if there is one.
  void Add(const YAML::Node& node, const std::string& path, const std::string& message);
  // Remembers the place of a field.
  void Place(const std::string& path, const YAML::Node& node) { positions_[path] = At(node); }
  // The place of the field `from` is that of `path` too.
  void SamePlace(const std::string& path, const std::string& from);
  Position At(const YAML::Node& node) const;
  // More mistakes are not shown and not worth the time.
  bool full() const;

  // The source of all that is read from now on: this flag; empty: the file.
  void SetFlag(const std::string& flag) { flag_ = flag; }

  const std::vector<Mistake>& mistakes() const { return mistakes_; }
  const std::map<std::string, Position>& positions() const { return positions_; }

 private:
  std::string flag_;
  std::vector<Mistake> mistakes_;
  std::map<std::string, Position> positions_;
};

Position PositionOf(const YAML::Mark& mark);

// The text in quotes, escaped and at most 60 bytes long.
std::string Quote(const std::string& text);
// "a.b" of "a" and "b".
std::string PathBelow(const std::string& path, absl::string_view name);
// "a map", "a list", "a single value".
const char* KindOf(const YAML::Node& node);
// The entries of a list. A single value stands for a list of one.
std::vector<YAML::Node> ItemsOf(const YAML::Node& node);
// Decimal digits without a leading zero (an octal number to other YAML readers), with a minus if
// allowed.
bool IsWhole(absl::string_view text);
// The remedy for a whole number that is not written in digits alone: 3e5, 300_000, 300,000, 0300.
std::string WholeNumberHint(const std::string& text);
// Whether the text has the form of a range of whole numbers, "0-9".
bool IsRange(const std::string& text, std::pair<std::string, std::string>* ends);
// Whether the node is a plain scalar; otherwise that is a mistake.
bool CheckPlainScalar(const YAML::Node& node, const std::string& path, const char* expected,
                      YamlNotes* notes);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_YAML_NOTES_H_

// One setting of a run: its name, what it may be, what it is unless somebody says otherwise.
#ifndef COPPICE_COMMON_SETTINGS_SETTING_H_
#define COPPICE_COMMON_SETTINGS_SETTING_H_

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"

namespace coppice::settings {

using Value = std::variant<int64_t, double, std::string>;

// "8", "1e-4", "tf32": numbers with the fewest digits that read back equal.
std::string ValueText(const Value& value);

// A text of somebody's for a message: in quotes, escaped, cut where it is long (a message may
// travel in an RPC's trailer).
std::string Quoted(absl::string_view text);

// Bounds are part of a range unless it says that they are not.
struct IntegerRange {
  int64_t low = 0;
  int64_t high = 0;
  bool even = false;
  std::string why_even = "";
};
struct NumberRange {
  double low = 0;
  double high = 0;
  bool without_low = false;
  bool without_high = false;
};
struct WordRange {
  std::vector<std::string> words = {};
  // Words that people may expect, and why they are refused ("is bfloat16, in which ...").
  std::map<std::string, std::string> refused = {};
};
// A path in UTF-8 without control characters, at most 4096 bytes; empty means none.
struct PathRange {
  enum class Kind { kFolder, kFile };
  Kind kind = Kind::kFile;
};
using Range = std::variant<IntegerRange, NumberRange, WordRange, PathRange>;

// Somebody who starts a trainer in a folder of his own may say more than a sweep, whose trainers
// run wherever there is a worker: a relative path, for example.
enum class Origin { kSweep, kStandalone };

struct Setting {
  std::string path = "";      // "train.batch_size", as a spec and the run's JSON have it
  std::string flag = "";      // of the trainer; empty: it has none
  std::string in_sweep = "";  // where a sweep says it under another name ("depths"); empty: `path`
  bool required = false;      // it has no default, and no run is without it
  bool for_worker = false;    // the worker reads it, the trainer takes no notice
  Range range = {};
  // Unset: a run that does not say it is without it.
  std::optional<Value> default_value = std::nullopt;
  // What a run without it does, for the table of the documentation.
  std::string without = "";
  std::map<std::string, Value> default_of_task = {};  // where a task has another
  std::string unit = "";  // "steps"; empty: a plain number, a word, a path
  std::string help = "";  // a clause: "sentences of a batch"
};

// "1 to 4096", "above 0, below 10", "float32, tf32".
std::string RangeText(const Setting& setting);
// What to use: "a whole number from 1 to 4096", "float32 or tf32".
std::string Wanted(const Setting& setting);
// "8", or "300000 (dyck 400000)".
std::string DefaultText(const Setting& setting);

// What is wrong with a value, with the remedy: "is 0; use a whole number from 1 to 4096". nullopt
// for a value that the setting may have.
std::optional<std::string> WhatIsWrong(const Setting& setting, const Value& value, Origin origin);

}  // namespace coppice::settings

#endif  // COPPICE_COMMON_SETTINGS_SETTING_H_

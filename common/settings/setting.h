// One setting of a run: its name, its range and its default.
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

// A user's text for a message: quoted, escaped, and truncated if it is long, since a message may
// travel in an RPC's trailer.
std::string Quoted(absl::string_view text);

// Bounds are inclusive unless `without_low` or `without_high` is set.
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
  // Words that people may expect, with the reason for refusing them ("is bfloat16, in which ...").
  std::map<std::string, std::string> refused = {};
};
// A path in UTF-8 without control characters, at most 4096 bytes. Empty: none.
struct PathRange {
  enum class Kind { kFolder, kFile };
  Kind kind = Kind::kFile;
};
using Range = std::variant<IntegerRange, NumberRange, WordRange, PathRange>;

// The source of a setting. A standalone trainer, started in a user's folder, accepts more values
// than a sweep, whose trainers run on any worker: a relative path, for example.
enum class Origin { kSweep, kStandalone };

struct Setting {
  std::string path = "";      // "train.batch_size", as in a spec and in the run's JSON
  std::string flag = "";      // of the trainer; empty: none
  std::string in_sweep = "";  // its other name in a sweep ("depths"); empty: `path`
  bool required = false;      // it has no default, and every run must set it
  bool for_worker = false;    // the worker reads it, the trainer ignores it
  Range range = {};
  // Unset: the setting is absent from a run that does not set it.
  std::optional<Value> default_value = std::nullopt;
  // The behavior of a run without it, for the documentation's table.
  std::string without = "";
  std::map<std::string, Value> default_of_task = {};  // tasks with another default
  std::string unit = "";  // "steps"; empty: a plain number, a word, a path
  std::string help = "";  // a clause: "sentences of a batch"
};

// "1 to 4096", "above 0, below 10", "float32, tf32".
std::string RangeText(const Setting& setting);
// The allowed values: "a whole number from 1 to 4096", "float32 or tf32".
std::string Wanted(const Setting& setting);
// "8", or "300000 (dyck 400000)".
std::string DefaultText(const Setting& setting);

// The mistake in a value, with the remedy: "is 0; use a whole number from 1 to 4096". nullopt: the
// value is valid.
std::optional<std::string> WhatIsWrong(const Setting& setting, const Value& value, Origin origin);

}  // namespace coppice::settings

#endif  // COPPICE_COMMON_SETTINGS_SETTING_H_

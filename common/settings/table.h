// The table of all settings of a run, and the constraints between them.
#ifndef COPPICE_COMMON_SETTINGS_TABLE_H_
#define COPPICE_COMMON_SETTINGS_TABLE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/settings/setting.h"

namespace coppice::settings {

// Values of settings by path: all those of a run, or only those that a user gave.
class Values {
 public:
  void Set(absl::string_view path, Value value) {
    values_.insert_or_assign(std::string(path), std::move(value));
  }
  // Null: not set.
  const Value* Find(absl::string_view path) const;
  bool Has(absl::string_view path) const { return Find(path) != nullptr; }
  // 0, 0 and "" if the setting is not set.
  int64_t Integer(absl::string_view path) const;
  double Number(absl::string_view path) const;
  std::string Text(absl::string_view path) const;
  const std::map<std::string, Value, std::less<>>& all() const& { return values_; }
  void all() const&& = delete;
  // Adds the values of `others`, which take precedence.
  void Merge(const Values& others);

 private:
  std::map<std::string, Value, std::less<>> values_;
};

// A constraint between settings of one run.
struct CrossCheck {
  // A mistake is reported at the first of these that the user gave.
  std::vector<std::string> settings = {};
  Origin strictest = Origin::kStandalone;  // kSweep: applies to sweeps only
  std::function<bool(const Values& run)> holds = nullptr;
  // "makes a batch of 8 out of 7 sentences".
  std::function<std::string(const Values& run)> mistake = nullptr;
  std::string remedy = "";  // "use a train.batch_size of at most data.train"
  std::string range = "";   // added to the first setting's range in the documentation
};

// Immutable; safe to share between threads.
class Table {
 public:
  // Paths and flags must be unique, and the checks may name only settings of this table.
  Table(std::vector<Setting> settings, std::vector<CrossCheck> checks);

  // In the order of the documentation.
  const std::vector<Setting>& settings() const { return settings_; }
  const std::vector<CrossCheck>& checks() const { return checks_; }
  // Null: there is no such setting.
  const Setting* Find(absl::string_view path) const;
  // The names one level below a path that is not a setting itself ("": "task", "model", ...), in
  // order.
  std::vector<std::string> NamesBelow(absl::string_view path) const;
  // The defaults of all settings that have one.
  Values Defaults(absl::string_view task) const;
  // The checks that a complete run fails. Checks that involve an invalid value are skipped.
  std::vector<const CrossCheck*> Failed(const Values& run, Origin origin) const;

 private:
  const std::vector<Setting> settings_;
  const std::vector<CrossCheck> checks_;
  std::map<std::string, const Setting*, std::less<>> by_path_;
};

// The table of this project.
const Table& RunSettings();

}  // namespace coppice::settings

#endif  // COPPICE_COMMON_SETTINGS_TABLE_H_

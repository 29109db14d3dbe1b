// The table of all settings of a run, and what must hold between them.
#ifndef COPPICE_COMMON_SETTINGS_TABLE_H_
#define COPPICE_COMMON_SETTINGS_TABLE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/settings/setting.h"

namespace coppice::settings {

// Values of settings by their paths: those of a whole run, or those that somebody gave.
class Values {
 public:
  void Set(absl::string_view path, Value value) {
    values_.insert_or_assign(std::string(path), std::move(value));
  }
  // Null: not there.
  const Value* Find(absl::string_view path) const;
  bool Has(absl::string_view path) const { return Find(path) != nullptr; }
  // 0, 0 and "" where it is not there.
  int64_t Integer(absl::string_view path) const;
  double Number(absl::string_view path) const;
  std::string Text(absl::string_view path) const;
  const std::map<std::string, Value, std::less<>>& all() const& { return values_; }
  void all() const&& = delete;
  // Takes over what `others` has.
  void Merge(const Values& others);

 private:
  std::map<std::string, Value, std::less<>> values_;
};

// What must hold between settings of one run.
struct CrossCheck {
  // The mistake is told where the first of these that somebody gave was given.
  std::vector<std::string> settings = {};
  Origin strictest = Origin::kStandalone;  // kSweep: only a sweep is held to it
  std::function<bool(const Values& run)> holds = nullptr;
  // "makes a batch of 8 out of 7 sentences".
  std::function<std::string(const Values& run)> mistake = nullptr;
  std::string remedy = "";  // "use a train.batch_size of at most data.train"
  std::string range = "";   // added to the first setting's range in the documentation
};

// Immutable; safe to share between threads.
class Table {
 public:
  // Paths and flags must be unique, and the checks' settings in the table.
  Table(std::vector<Setting> settings, std::vector<CrossCheck> checks);

  // In the order of the documentation.
  const std::vector<Setting>& settings() const { return settings_; }
  const std::vector<CrossCheck>& checks() const { return checks_; }
  // Null: there is no such setting.
  const Setting* Find(absl::string_view path) const;
  // The names one level below a path that is no setting ("": "task", "model", ...), in order.
  std::vector<std::string> NamesBelow(absl::string_view path) const;
  // Of every setting that has one.
  Values Defaults(absl::string_view task) const;
  // The checks that a whole run fails. A setting whose own value is wrong is not compared with
  // others.
  std::vector<const CrossCheck*> Failed(const Values& run, Origin origin) const;

 private:
  const std::vector<Setting> settings_;
  const std::vector<CrossCheck> checks_;
  std::map<std::string, const Setting*, std::less<>> by_path_;
};

// The project's.
const Table& RunSettings();

}  // namespace coppice::settings

#endif  // COPPICE_COMMON_SETTINGS_TABLE_H_

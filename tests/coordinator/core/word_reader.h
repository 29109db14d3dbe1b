#ifndef COPPICE_TESTS_COORDINATOR_CORE_WORD_READER_H_
#define COPPICE_TESTS_COORDINATOR_CORE_WORD_READER_H_

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "coordinator/core/extension.h"

namespace coppice::core {

// Reads specs and runs made of words: "seeds=0,1 shown=loss", "lr=1 checkpoint.keep=2".
class WordReader : public SpecReader {
 public:
  absl::StatusOr<std::vector<uint32_t>> SeedsOf(const std::string& blob) const override {
    std::vector<uint32_t> seeds;
    const std::string listed = Words(blob)["seeds"];
    for (const auto text : absl::StrSplit(listed, ',', absl::SkipEmpty())) {
      if (!absl::SimpleAtoi(text, &seeds.emplace_back())) return absl::InternalError("no seed");
    }
    return seeds;
  }
  absl::StatusOr<std::vector<SettingChange>> CompareSweeps(
      const std::string& stored, const std::string& wanted) const override {
    std::vector<SettingChange> changes = Compare(stored, wanted);
    changes.erase(
        std::remove_if(changes.begin(), changes.end(),
                       [](const SettingChange& change) { return change.path == "seeds"; }),
        changes.end());
    return changes;
  }
  absl::StatusOr<RunChange> CompareRuns(const std::string& stored,
                                        const std::string& wanted) const override {
    RunChange change;
    for (SettingChange& one : Compare(stored, wanted)) {
      const bool in_place = absl::StartsWith(one.path, "checkpoint.");
      (in_place ? change.in_place : change.others).push_back(std::move(one));
    }
    return change;
  }

 private:
  static std::map<std::string, std::string> Words(const std::string& text) {
    std::map<std::string, std::string> words;
    for (const auto word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
      const std::vector<std::string> parts = absl::StrSplit(word, absl::MaxSplits('=', 1));
      words[parts[0]] = parts.size() > 1 ? parts[1] : "";
    }
    return words;
  }
  static std::vector<SettingChange> Compare(const std::string& stored, const std::string& wanted) {
    const auto before = Words(stored);
    auto after = Words(wanted);
    std::vector<SettingChange> changes;
    for (const auto& [path, was] : before) {
      if (after[path] != was) changes.push_back({path, was, after[path]});
    }
    return changes;
  }
};

}  // namespace coppice::core

#endif  // COPPICE_TESTS_COORDINATOR_CORE_WORD_READER_H_

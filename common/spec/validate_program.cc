// Checks of a spec: a program of the user's own, and what a sweep of one may set.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/names.h"
#include "common/base/nearest_word.h"
#include "common/base/printable.h"
#include "common/settings/table.h"
#include "common/spec/internal.h"
#include "common/spec/program.h"
#include "common/spec/validate_internal.h"

namespace coppice::spec {
namespace {

constexpr int kMaxEntries = 1'000;
constexpr size_t kMaxProgramTextBytes = 64 << 10;  // of the command and of the environment
constexpr size_t kMaxDirectoryBytes = 4'096;
constexpr size_t kMaxIdentifierBytes = 64;
constexpr uint32_t kMaxThreads = 1'024;
constexpr int kMaxPrimary = 2;
// Names that a filter or a table has for something else.
constexpr std::array<absl::string_view, 8> kTaken = {"task",  "depth", "seed", "state",
                                                     "sweep", "step",  "job",  "worker"};

bool IsIdentifier(absl::string_view name) {
  return !name.empty() && name.size() <= kMaxIdentifierBytes &&
         !absl::ascii_isdigit(static_cast<unsigned char>(name.front())) &&
         absl::c_all_of(name, [](unsigned char c) { return absl::ascii_isalnum(c) || c == '_'; });
}

std::string PathIn(absl::string_view list, const std::string& name, int index) {
  return IsIdentifier(name) ? absl::StrCat(list, ".", name) : absl::StrCat(list, "[", index, "]");
}

std::string NotAName(const std::string& name) {
  return absl::StrCat("is ", settings::Quoted(name), "; use at most ", kMaxIdentifierBytes,
                      " letters, digits and '_', the first no digit");
}

void CheckCommand(const v1::Program& program, std::vector<Problem>* problems) {
  if (program.command().empty() || program.command(0).empty()) {
    problems->push_back({"program.command",
                         "is missing or empty; give the program and its arguments, for example "
                         "`command: [python3, train.py]`"});
    return;
  }
  size_t bytes = 0;
  for (int i = 0; i < program.command_size(); ++i) {
    bytes += program.command(i).size() + 1;
    if (IsPrintable(program.command(i))) continue;
    problems->push_back(
        {absl::StrCat("program.command[", i, "]"), "holds a control character; use a file for it"});
    return;
  }
  if (program.command_size() > kMaxEntries || bytes > kMaxProgramTextBytes) {
    problems->push_back(
        {"program.command", absl::StrCat("is too long; use at most ", kMaxEntries, " words and ",
                                         kMaxProgramTextBytes, " bytes")});
  }
}

void CheckDirectory(const std::string& directory, std::vector<Problem>* problems) {
  if (directory.empty()) {
    problems->push_back({"program.directory",
                         "is missing; give the absolute path of the folder in which the program "
                         "starts, as the workers see it"});
  } else if (directory.front() != '/') {
    problems->push_back({"program.directory",
                         absl::StrCat("is ", settings::Quoted(directory),
                                      "; use an absolute path, since workers run in folders of "
                                      "their own")});
  } else if (!IsPrintable(directory) || directory.size() > kMaxDirectoryBytes) {
    problems->push_back(
        {"program.directory", absl::StrCat("is not a path; use at most ", kMaxDirectoryBytes,
                                           " bytes without control characters")});
  }
}

void CheckEnvironment(const v1::Program& program, std::vector<Problem>* problems) {
  absl::flat_hash_set<std::string> seen;
  size_t bytes = 0;
  for (int i = 0; i < std::min(program.environment_size(), kMaxEntries); ++i) {
    const v1::EnvironmentVariable& variable = program.environment(i);
    const std::string path = PathIn("program.environment", variable.name(), i);
    bytes += variable.name().size() + variable.value().size() + 2;
    if (!IsIdentifier(variable.name())) {
      problems->push_back({path, NotAName(variable.name())});
    } else if (absl::StartsWith(variable.name(), "COPPICE_")) {
      problems->push_back({path, "is a variable that Coppice sets; use another name"});
    } else if (!seen.insert(variable.name()).second) {
      problems->push_back({path, "stands here twice; remove one"});
    } else if (!IsPrintable(variable.value())) {
      problems->push_back({path, "holds a control character; use a file for it"});
    }
  }
  if (program.environment_size() > kMaxEntries || bytes > kMaxProgramTextBytes) {
    problems->push_back(
        {"program.environment", absl::StrCat("is too large; use at most ", kMaxEntries,
                                             " variables and ", kMaxProgramTextBytes, " bytes")});
  }
}

// False: the settings are too many to check each.
bool CheckDefaults(const v1::Program& program, std::vector<Problem>* problems) {
  if (program.settings_size() > kMaxEntries) {
    problems->push_back({"program.settings", absl::StrCat("holds ", program.settings_size(),
                                                          " settings; use at most ", kMaxEntries)});
    return false;
  }
  absl::flat_hash_set<std::string> seen;
  for (int i = 0; i < program.settings_size(); ++i) {
    const v1::ProgramSetting& setting = program.settings(i);
    const std::string path = PathIn("program.settings", setting.name(), i);
    if (!IsIdentifier(setting.name())) {
      problems->push_back({path, NotAName(setting.name())});
    } else if (absl::c_linear_search(kTaken, setting.name())) {
      problems->push_back(
          {path, absl::StrCat("is a word of jobs, filters and tables; use another name, for "
                              "example my_",
                              setting.name())});
    } else if (!seen.insert(setting.name()).second) {
      problems->push_back({path, "stands here twice; remove one"});
    } else if (!ProgramScalar(setting.value())) {
      problems->push_back({path, "is no value; use a number, true, false or a word"});
    }
  }
  return true;
}

void CheckResources(const v1::Program& program, std::vector<Problem>* problems) {
  if (program.has_pack() && (program.pack() < 1 || program.pack() > kMaxPackWidth)) {
    problems->push_back(
        {"program.pack",
         absl::StrCat("is ", program.pack(), "; use a whole number from 1 to ", kMaxPackWidth)});
  }
  if (program.has_time_limit() && program.time_limit() == 0) {
    problems->push_back(
        {"program.time_limit", "is 0; use at least a second, or remove it for no limit"});
  }
  if (program.gpus() > 1)
    problems->push_back({"program.gpus", absl::StrCat("is ", program.gpus(), "; use 0 or 1")});
  if (program.has_threads() && (program.threads() < 1 || program.threads() > kMaxThreads)) {
    problems->push_back(
        {"program.threads",
         absl::StrCat("is ", program.threads(), "; use a whole number from 1 to ", kMaxThreads)});
  }
  if (program.primary_size() > kMaxPrimary) {
    problems->push_back({"program.primary", absl::StrCat("holds ", program.primary_size(),
                                                         " metrics; use at most ", kMaxPrimary)});
  }
  for (int i = 0; i < std::min(program.primary_size(), kMaxPrimary); ++i) {
    if (IsMetricName(program.primary(i))) continue;
    problems->push_back({absl::StrCat("program.primary[", i, "]"),
                         absl::StrCat("is no metric's name; use at most ", kMaxMetricNameBytes,
                                      " visible characters")});
  }
}

const v1::ProgramSetting* FindProgramSetting(const v1::Program& program, absl::string_view name) {
  for (const v1::ProgramSetting& setting : program.settings()) {
    if (absl::string_view(setting.name()) == name) return &setting;
  }
  return nullptr;
}

}  // namespace

bool CheckProgram(const v1::SweepSpec& spec, std::vector<Problem>* problems) {
  for (const auto& [path, size] :
       {std::pair("tasks", spec.tasks_size()), std::pair("depths", spec.depths_size())}) {
    if (size == 0) continue;
    problems->push_back({path,
                         "stands beside `program`, which has none; remove it, or give the "
                         "program a setting of another name"});
  }
  const v1::Program& program = spec.program();
  CheckCommand(program, problems);
  CheckDirectory(program.directory(), problems);
  CheckEnvironment(program, problems);
  const bool fits = CheckDefaults(program, problems);
  CheckResources(program, problems);
  return fits;
}

void CheckOnlyProgramSettings(const google::protobuf::Message& message, const std::string& prefix,
                              std::vector<Problem>* problems) {
  const settings::Values given = ValuesOf(message);
  for (const auto& [path, value] : given.all()) {
    if (IsSettingOfPrograms(path)) continue;
    problems->push_back({absl::StrCat(prefix, path),
                         "is a setting of Coppice's own trainer; give the program a setting of its "
                         "own under `program.settings`"});
  }
}

void CheckProgramSettings(const v1::SweepSpec& spec,
                          const google::protobuf::RepeatedPtrField<v1::ProgramSetting>& changed,
                          const std::string& path, std::vector<Problem>* problems) {
  absl::flat_hash_set<std::string> seen;
  const size_t before = problems->size();
  for (int i = 0; i < changed.size(); ++i) {
    if (problems->size() - before >= kMaxProblemsPerList) return;
    const v1::ProgramSetting& setting = changed[i];
    const std::string at = PathIn(path, setting.name(), i);
    std::string mistake = ProgramSettingMistake(spec, setting);
    if (mistake.empty() && !seen.insert(setting.name()).second)
      mistake = "stands here twice; remove one";
    if (!mistake.empty()) problems->push_back({at, std::move(mistake)});
  }
}

std::string ProgramSettingMistake(const v1::SweepSpec& spec, const v1::ProgramSetting& setting) {
  if (!spec.has_program()) return "is a setting that only a program has; use settings of the run";
  const v1::ProgramSetting* own = FindProgramSetting(spec.program(), setting.name());
  if (own == nullptr) {
    std::vector<std::string> names;
    for (const v1::ProgramSetting& known : spec.program().settings()) names.push_back(known.name());
    return absl::StrCat("is ", settings::Quoted(setting.name()),
                        ", which the program does not have; add it to `program.settings` with its "
                        "default",
                        AfterSemicolon(DidYouMean(setting.name(), names)));
  }
  const std::optional<nlohmann::json> value = ProgramScalar(setting.value());
  if (!value) return "is no value; use a number, true, false or a word";
  const std::optional<nlohmann::json> usual = ProgramScalar(own->value());
  if (!usual || SameKind(*value, *usual)) return "";
  return absl::StrCat("is ", settings::Quoted(ProgramValueName(*value)),
                      usual->is_number()    ? "; use a number"
                      : usual->is_boolean() ? "; use true or false"
                                            : "; use a word",
                      ", as its default ", ProgramValueName(*usual), " is");
}

}  // namespace coppice::spec

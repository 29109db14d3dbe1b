#include "cli/program_reader.h"

#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/nearest_word.h"

namespace coppice::cli {
namespace {

constexpr size_t kMaxEntries = 1'000;

// [A-Za-z_][A-Za-z0-9_]{0,63}, which is a name in every language and in the environment.
bool IsPlainIdentifier(const std::string& text) {
  return !text.empty() && text.size() <= 64 && !absl::ascii_isdigit(text[0]) &&
         absl::c_all_of(text, [](unsigned char c) { return absl::ascii_isalnum(c) || c == '_'; });
}

// "2h", "1h30m", "90s", "1d". False: it has another form, or is 0 or too long.
bool ParseSpan(const std::string& text, uint32_t* seconds) {
  uint64_t total = 0;
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = text.find_first_not_of("0123456789", at);
    uint32_t number = 0;
    if (end == std::string::npos || end == at ||
        !absl::SimpleAtoi(text.substr(at, end - at), &number)) {
      return false;
    }
    const size_t unit = std::string("smhd").find(text[end]);
    if (unit == std::string::npos) return false;
    constexpr uint64_t kSeconds[] = {1, 60, 3'600, 86'400};
    total += number * kSeconds[unit];
    at = end + 1;
  }
  *seconds = static_cast<uint32_t>(total);
  return total > 0 && total <= UINT32_MAX;
}

class ProgramReader {
 public:
  ProgramReader(YamlMessageReader* fields, YamlNotes* notes, v1::Program* program)
      : fields_(*fields), notes_(*notes), program_(*program) {}

  void Read(const YAML::Node& node) {
    using Part = std::function<void(const YAML::Node&, const std::string&)>;
    const auto field = [this](const char* name) -> Part {
      return [this, name](const YAML::Node& value, const std::string& path) {
        fields_.ReadField(value, path, *v1::Program::descriptor()->FindFieldByName(name),
                          &program_);
      };
    };
    const auto part = [this](void (ProgramReader::*read)(const YAML::Node&, const std::string&)) {
      return Part([this, read](const YAML::Node& value, const std::string& path) {
        (this->*read)(value, path);
      });
    };
    ReadMap(node, "program",
            {{"command", part(&ProgramReader::ReadCommand)},
             {"directory", field("directory")},
             {"environment", part(&ProgramReader::ReadEnvironment)},
             {"settings", part(&ProgramReader::ReadSettings)},
             {"pack", field("pack")},
             {"metrics",
              [&](const YAML::Node& value, const std::string& path) {
                ReadMap(value, path, {{"primary", field("primary")}});
              }},
             {"time_limit", part(&ProgramReader::ReadTimeLimit)},
             {"resources", [&](const YAML::Node& value, const std::string& path) {
                ReadMap(value, path, {{"gpus", field("gpus")}, {"threads", field("threads")}});
              }}});
  }

 private:
  using Parts = std::map<std::string, std::function<void(const YAML::Node&, const std::string&)>>;

  // Calls `use` with each key and value, after it has refused repeated and empty ones.
  void ForEach(const YAML::Node& node, const std::string& path, const char* example,
               const std::function<void(const YAML::Node&, const YAML::Node&)>& use) {
    notes_.Place(path, node);
    if (!node.IsMap()) {
      notes_.Add(node, path,
                 absl::StrCat("is ", KindOf(node), "; use a map, for example ", example));
      return;
    }
    if (node.size() > kMaxEntries) {
      notes_.Add(node, path,
                 absl::StrCat("has ", node.size(), " entries; use at most ", kMaxEntries));
      return;
    }
    std::map<std::string, int> lines;
    for (const auto& entry : node) {
      const YAML::Node& key = entry.first;
      if (notes_.full()) return;
      if (!key.IsScalar()) {
        notes_.Add(key, path, "has a key that is no word; use a name");
        continue;
      }
      const auto [first, is_new] = lines.emplace(key.Scalar(), PositionOf(key.Mark()).line);
      if (!is_new) {
        notes_.Add(key, "",
                   absl::StrCat(Quote(key.Scalar()), " stands in ", path,
                                " a second time (first in line ", first->second, "); remove one"));
      } else if (entry.second.IsNull()) {
        notes_.Add(key, "",
                   absl::StrCat(Quote(key.Scalar()), " in ", path,
                                " has no value; give it one or remove the line"));
      } else {
        use(key, entry.second);
      }
    }
  }

  void ReadMap(const YAML::Node& node, const std::string& path, const Parts& parts) {
    std::vector<std::string> names;
    for (const auto& [name, read] : parts) names.push_back(name);
    ForEach(node, path, "{command: [python3, train.py]}",
            [&](const YAML::Node& key, const YAML::Node& value) {
              const auto part = parts.find(key.Scalar());
              if (part != parts.end()) return part->second(value, PathBelow(path, key.Scalar()));
              const std::string nearest = NearestWord(key.Scalar(), names);
              notes_.Add(key, "",
                         absl::StrCat("unknown key ", Quote(key.Scalar()), " in ", path, "; ",
                                      nearest.empty()
                                          ? absl::StrCat("use one of: ", absl::StrJoin(names, ", "))
                                          : absl::StrCat("did you mean '", nearest, "'?")));
            });
  }

  void ReadCommand(const YAML::Node& node, const std::string& path) {
    if (node.IsScalar() && absl::StrContains(node.Scalar(), ' ')) {
      notes_.Place(path, node);
      notes_.Add(node, path,
                 "is one text, and no shell splits it; use a list of its words, for example "
                 "[python3, train.py]");
      return;
    }
    fields_.ReadField(node, path, *v1::Program::descriptor()->FindFieldByName("command"),
                      &program_);
  }

  void ReadEnvironment(const YAML::Node& node, const std::string& path) {
    ForEach(node, path, "{OMP_NUM_THREADS: 1}",
            [&](const YAML::Node& key, const YAML::Node& value) {
              const std::string& name = key.Scalar();
              if (!IsPlainIdentifier(name)) return NoName(key, path);
              const std::string at = PathBelow(path, name);
              notes_.Place(at, value);
              if (!CheckPlainScalar(value, at, "a text", &notes_)) return;
              v1::EnvironmentVariable* variable = program_.add_environment();
              variable->set_name(name);
              variable->set_value(value.Scalar());
            });
  }

  void ReadSettings(const YAML::Node& node, const std::string& path) {
    ForEach(node, path, "{learning_rate: 1e-3}",
            [&](const YAML::Node& key, const YAML::Node& value) {
              const std::string& name = key.Scalar();
              if (!IsPlainIdentifier(name)) return NoName(key, path);
              const std::string at = PathBelow(path, name);
              notes_.Place(at, value);
              const auto scalar = ReadDefault(value, at, &notes_);
              if (!scalar) return;
              v1::ProgramSetting* setting = program_.add_settings();
              setting->set_name(name);
              setting->set_value(scalar->json);
            });
  }

  void ReadTimeLimit(const YAML::Node& node, const std::string& path) {
    notes_.Place(path, node);
    uint32_t seconds = 0;
    if (!CheckPlainScalar(node, path, "a duration, for example 2h", &notes_)) return;
    if (ParseSpan(node.Scalar(), &seconds)) return program_.set_time_limit(seconds);
    notes_.Add(node, path,
               absl::StrCat("is ", Quote(node.Scalar()),
                            ", no duration; use for example 45s, 90m, 2h, 1h30m or 1d"));
  }

  void NoName(const YAML::Node& key, const std::string& path) {
    notes_.Add(key, "",
               absl::StrCat(Quote(key.Scalar()), " in ", path,
                            " is no name; use letters, digits and '_', at most 64, the first no "
                            "digit"));
  }

  YamlMessageReader& fields_;
  YamlNotes& notes_;
  v1::Program& program_;
};

}  // namespace

void ReadProgram(const YAML::Node& node, YamlMessageReader* fields, YamlNotes* notes,
                 v1::Program* program) {
  ProgramReader(fields, notes, program).Read(node);
  // The message has no groups of its own for these.
  for (const char* name : {"primary", "gpus", "threads"}) {
    const char* group = std::string(name) == "primary" ? "metrics" : "resources";
    notes->SamePlace(absl::StrCat("program.", name), absl::StrCat("program.", group, ".", name));
  }
}

void ReadProgramChanges(const YAML::Node& node, const std::string& path, const SettingForms& forms,
                        YamlNotes* notes, v1::Override* change) {
  notes->Place(path, node);
  if (!node.IsMap()) {
    notes->Add(node, path,
               absl::StrCat("is ", KindOf(node), "; give it settings of the program, for example ",
                            "{learning_rate: 1e-3}"));
    return;
  }
  std::map<std::string, int> lines;
  std::vector<std::string> names;
  for (const std::string& name : forms.Names()) {
    if (forms.Find(name)->of_program) names.push_back(name);
  }
  for (const auto& entry : node) {
    if (notes->full()) return;
    const YAML::Node& key = entry.first;
    const std::string name = key.IsScalar() ? key.Scalar() : "";
    const SettingForm* form = forms.Find(name);
    if (form == nullptr || !form->of_program) {
      notes->Add(key, "",
                 absl::StrCat("unknown setting ", Quote(name), " in ", path,
                              "; the settings of a program stand in program.settings",
                              AfterSemicolon(DidYouMean(name, names))));
      continue;
    }
    const std::string at = PathBelow(path, name);
    notes->Place(at, entry.second.IsNull() ? key : entry.second);
    const auto [first, is_new] = lines.emplace(name, PositionOf(key.Mark()).line);
    if (!is_new) {
      notes->Add(key, at,
                 absl::StrCat("stands here a second time (first in line ", first->second,
                              "); remove one"));
    } else if (entry.second.IsNull()) {
      notes->Add(key, at, "has no value; give it one or remove it");
    } else if (const auto scalar = ReadSettingValue(entry.second, at, *form, notes)) {
      v1::ProgramSetting* setting = change->add_settings();
      setting->set_name(name);
      setting->set_value(scalar->json);
    }
  }
}

}  // namespace coppice::cli

#include "cli/completion.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/select.h"
#include "cli/target.h"
#include "cli/where.h"
#include "common/spec/axes.h"

namespace coppice::cli {
namespace {

// More names are no help in completing a word.
constexpr size_t kMaxWords = 1'000;

const std::vector<std::string>& Tasks() {
  static const auto* const tasks = new std::vector<std::string>{"question", "tense", "dyck"};
  return *tasks;
}

template <typename List>
std::vector<std::string> Texts(const List& values) {
  std::vector<std::string> texts;
  for (const auto& value : values) {
    if (texts.size() == kMaxWords) break;
    texts.push_back(absl::StrCat(value));
  }
  return texts;
}

// Fetches names from the coordinator.
class Names {
 public:
  explicit Names(Context* context) : context_(context) {}

  std::vector<std::string> Sweeps() {
    std::vector<std::string> names;
    Client* const client = Connect();
    if (client == nullptr) return names;
    const absl::StatusOr<v1::ListSweepsResponse> list = client->ListSweeps();
    if (!list.ok()) return names;
    for (const v1::SweepSummary& sweep : list->sweeps()) names.push_back(sweep.name());
    return names;
  }
  // Of all sweeps.
  std::vector<std::string> Tags() {
    std::set<std::string> tags;
    Client* const client = Connect();
    if (client == nullptr) return {};
    const absl::StatusOr<v1::ListSweepsResponse> list = client->ListSweeps();
    if (!list.ok()) return {};
    for (const v1::SweepSummary& sweep : list->sweeps())
      tags.insert(sweep.tags().begin(), sweep.tags().end());
    return {tags.begin(), tags.end()};
  }
  std::vector<std::string> Workers() {
    std::vector<std::string> names;
    Client* const client = Connect();
    if (client == nullptr) return names;
    const absl::StatusOr<v1::ListWorkersResponse> list = client->ListWorkers(/*all=*/true);
    if (!list.ok()) return names;
    for (const v1::Worker& worker : list->workers()) names.push_back(worker.name());
    return names;
  }
  std::vector<std::string> Pools() {
    std::vector<std::string> names;
    Client* const client = Connect();
    if (client == nullptr) return names;
    const absl::StatusOr<v1::ListPoolsResponse> list = client->ListPools();
    if (!list.ok()) return names;
    for (const v1::Pool& pool : list->pools()) names.push_back(pool.spec().name());
    return names;
  }
  // Of the sweep that the command line names, or of the only one.
  std::optional<v1::SweepSpec> Spec(const std::string& target) {
    Client* const client = Connect();
    const absl::StatusOr<Target> parsed = ParseTarget(target);
    if (client == nullptr) return std::nullopt;
    const absl::StatusOr<std::string> name =
        ResolveSweep(client, parsed.ok() ? parsed->sweep : target.substr(0, target.find('/')));
    if (!name.ok()) return std::nullopt;
    const absl::StatusOr<v1::GetSweepResponse> sweep = client->GetSweep(*name);
    if (!sweep.ok()) return std::nullopt;
    return sweep->spec();
  }
  // Metrics of the jobs on the first page of the sweep.
  std::vector<std::string> Metrics(const std::string& target) {
    std::set<std::string> names;
    Client* const client = Connect();
    if (client == nullptr) return {};
    const absl::StatusOr<v1::JobFilter> filter = Select(client, target, {});
    if (!filter.ok()) return {};
    const absl::Status listed =
        client->ListJobs(*filter, true, [&](const v1::ListJobsResponse& page) {
          for (const v1::Job& job : page.jobs()) {
            for (const v1::MetricValue& metric : job.latest()) names.insert(metric.name());
          }
          return false;
        });
    if (!listed.ok()) names.clear();
    return {names.begin(), names.end()};
  }
  std::vector<std::string> CheckpointSteps(const std::string& job) {
    std::vector<std::string> steps;
    Client* const client = Connect();
    if (client == nullptr) return steps;
    const absl::StatusOr<uint64_t> id = ResolveJob(client, job);
    if (!id.ok()) return steps;
    const absl::StatusOr<v1::GetJobResponse> found = client->GetJob(*id);
    if (!found.ok()) return steps;
    for (const v1::Checkpoint& checkpoint : found->checkpoints())
      steps.push_back(absl::StrCat(checkpoint.step()));
    return steps;
  }

 private:
  Client* Connect() {
    const absl::StatusOr<Client*> client = context_->Connect();
    return client.ok() ? *client : nullptr;
  }
  Context* const context_;
};

std::vector<std::string> StartingWith(const std::string& prefix, const std::string& typed,
                                      const std::vector<std::string>& words) {
  std::vector<std::string> fitting;
  for (const std::string& word : words) {
    if (fitting.size() == kMaxWords) break;
    if (absl::StartsWith(prefix + word, typed)) fitting.push_back(prefix + word);
  }
  return fitting;
}

// Names and values of the axes that `spec` has, seed included.
std::vector<std::string> ValuesOfAxis(const v1::SweepSpec& spec, const std::string& name) {
  if (name == "seed") return Texts(spec.seeds());
  std::vector<std::string> values;
  const std::vector<v1::Axis> axes = spec::AxesOf(spec);
  const v1::Axis* axis = spec::FindAxis(axes, name);
  if (axis == nullptr) return values;
  for (const v1::AxisValue& value : axis->values()) {
    if (values.size() == kMaxWords) break;
    values.push_back(value.name());
  }
  return values;
}

// Completes the last of the parts AXIS=VALUE of a target. `prefix` is what stands before it.
Completion AxisPart(const std::string& typed, const std::string& prefix,
                    const std::vector<std::string>& parts, bool whole, const v1::SweepSpec& spec) {
  Completion completion;
  std::vector<std::string> left;
  for (const std::string& name : AxisNamesOf(spec)) {
    const std::string begin = name + "=";
    const bool taken = std::any_of(parts.begin() + 1, parts.end() - 1, [&](const std::string& p) {
      return absl::StartsWith(p, begin);
    });
    if (!taken) left.push_back(name);
  }
  const size_t sign = parts.back().find('=');
  if (sign == std::string::npos) {
    for (std::string& name : left) name += "=";
    completion.words = StartingWith(prefix, typed, left);
    completion.goes_on = true;
    return completion;
  }
  const std::string name = parts.back().substr(0, sign);
  const std::string kept = typed.substr(0, typed.find_last_of("=,") + 1);
  completion.words = StartingWith(kept, typed, ValuesOfAxis(spec, name));
  completion.goes_on = left.size() > 1;
  if (whole && completion.goes_on) {
    for (std::string& word : completion.words) word += "/";
  }
  return completion;
}

// Completes SWEEP/TASK/DEPTH/SEED part by part, and SWEEP/AXIS=VALUE/... where the sweep has other
// axes or a sign of equality is there already. `whole`: only a job, not a part of a sweep.
Completion Path(const std::string& typed, bool whole, Names* names) {
  Completion completion;
  const std::vector<std::string> parts = absl::StrSplit(typed, '/');
  const std::string prefix = typed.substr(0, typed.rfind('/') + 1);
  if (parts.size() == 1) {
    completion.words = StartingWith("", typed, names->Sweeps());
    if (whole) {
      for (std::string& word : completion.words) word += "/";
    }
    completion.goes_on = true;
    return completion;
  }
  const std::optional<v1::SweepSpec> spec = names->Spec(parts[0]);
  if (!spec.has_value()) return completion;
  if (!spec::IsClassic(*spec) || absl::StrContains(typed, '='))
    return AxisPart(typed, prefix, parts, whole, *spec);
  if (parts.size() > 4) return completion;
  const std::vector<std::string> values = parts.size() == 2   ? Texts(spec->tasks())
                                          : parts.size() == 3 ? Texts(spec->depths())
                                                              : Texts(spec->seeds());
  completion.words = StartingWith(prefix, typed, values);
  completion.goes_on = parts.size() < 4;
  if (whole && completion.goes_on) {
    for (std::string& word : completion.words) word += "/";
  }
  return completion;
}

// Completes the last of several comma-separated values.
Completion OneOfSeveral(const std::string& typed, const std::vector<std::string>& values) {
  Completion completion;
  completion.words = StartingWith(typed.substr(0, typed.rfind(',') + 1), typed, values);
  return completion;
}

// The command and flag that the words before the cursor lead to.
struct Place {
  const CLI::App* app = nullptr;
  const CLI::Option* flag = nullptr;     // the flag whose value comes next
  std::vector<std::string> positionals;  // of `app`
};

const CLI::Option* FindFlag(const CLI::App& root, const CLI::App& app, const std::string& name) {
  for (const CLI::App* each : {&app, &root}) {
    for (const CLI::Option* option : each->get_options()) {
      if (!option->get_positional() && option->check_name(name)) return option;
    }
  }
  return nullptr;
}

const CLI::App* FindCommand(const CLI::App& app, const std::string& name) {
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_name() == name) return command;
  }
  return nullptr;
}

Place Follow(const CLI::App& root, const std::vector<std::string>& words) {
  Place place;
  place.app = &root;
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& word = words[i];
    if (place.flag != nullptr) {
      place.flag = nullptr;
    } else if (absl::StartsWith(word, "-") && word.size() > 1) {
      const CLI::Option* flag = FindFlag(root, *place.app, word);
      if (flag != nullptr && flag->get_items_expected_max() > 0) place.flag = flag;
    } else if (const CLI::App* command = FindCommand(*place.app, word); command != nullptr) {
      place.app = command;
      place.positionals.clear();
    } else {
      place.positionals.push_back(word);
    }
  }
  return place;
}

Completion Files() {
  Completion completion;
  completion.files = true;
  return completion;
}

// Returns whether the command takes parts of a sweep.
bool Filters(const CLI::App& app) { return app.get_option_no_throw("--task") != nullptr; }

Completion Value(const CLI::App& app, const std::string& flag, const std::string& typed,
                 const std::string& target, Names* names) {
  static const auto* const fixed_values = new std::map<std::string, std::vector<std::string>>{
      {"--state", {"pending", "running", "succeeded", "failed", "cancelled"}},
      {"--format", {"csv", "jsonl", "tensorboard"}},
      {"--pack", {"auto"}},
      {"--role", {"worker", "viewer"}}};
  if (const auto fixed = fixed_values->find(flag); fixed != fixed_values->end())
    return OneOfSeveral(typed, fixed->second);
  if (flag == "--name" && Filters(app)) return OneOfSeveral(typed, names->Metrics(target));
  if (flag == "--tag") return OneOfSeveral(typed, names->Tags());
  if (flag == "--step") return OneOfSeveral(typed, names->CheckpointSteps(target));
  if (flag == "--task" || flag == "--depth" || flag == "--seed") {
    const std::optional<v1::SweepSpec> spec = names->Spec(target);
    if (!spec.has_value()) return flag == "--task" ? OneOfSeveral(typed, Tasks()) : Completion();
    return OneOfSeveral(typed, flag == "--task"    ? TasksOf(*spec)
                               : flag == "--depth" ? Texts(DepthsOf(*spec))
                                                   : Texts(spec->seeds()));
  }
  if (flag == "--where") {
    const std::optional<v1::SweepSpec> spec = names->Spec(target);
    return spec.has_value() ? AxisPart(typed, "", {"", typed}, false, *spec) : Completion();
  }
  for (const char* path : {"--output", "--dir", "--binaries", "--gnuplot", "--tls-ca", "--tls-cert",
                           "--tls-key", "--token-file", "--access"}) {
    if (flag == path) return Files();
  }
  return {};
}

Completion Positional(const Place& place, const std::string& typed, Names* names) {
  std::vector<const CLI::Option*> positionals;
  for (const CLI::Option* option : place.app->get_options()) {
    if (option->get_positional()) positionals.push_back(option);
  }
  if (positionals.empty()) return {};
  const size_t at = std::min(place.positionals.size(), positionals.size() - 1);
  const CLI::Option& option = *positionals[at];
  const size_t most = static_cast<size_t>(option.get_items_expected_max());
  if (place.positionals.size() - at >= most) return {};
  const std::string name = option.get_name(true);
  Completion completion;
  if (name == "SPEC" || name == "FILE") return Files();
  if (name == "JOB") return Path(typed, true, names);
  if (name == "WORKER") {
    completion.words = StartingWith("", typed, names->Workers());
  } else if (name == "POOL") {
    completion.words = StartingWith("", typed, names->Pools());
  } else if (name == "TAG") {
    completion.words = StartingWith("+", typed, names->Tags());
  } else if (name == "SHELL") {
    completion.words = StartingWith("", typed, {"bash", "zsh", "fish"});
  } else if (absl::StartsWith(name, "SWEEP")) {
    if (Filters(*place.app)) return Path(typed, false, names);
    completion.words = StartingWith("", typed, names->Sweeps());
    if (name == "SWEEP|FILE" && completion.words.empty()) return Files();
  }
  return completion;
}

}  // namespace

Completion Complete(const CLI::App& root, const std::vector<std::string>& words, Context* context) {
  Completion completion;
  if (words.empty()) return completion;
  const std::string& typed = words.back();
  const Place place = Follow(root, words);
  Names names(context);
  const std::string target = place.positionals.empty() ? "" : place.positionals[0];
  if (place.flag != nullptr) {
    const std::vector<std::string>& long_names = place.flag->get_lnames();
    if (long_names.empty()) return completion;
    return Value(*place.app, "--" + long_names[0], typed, target, &names);
  }
  if (absl::StartsWith(typed, "--") && absl::StrContains(typed, '=')) {
    const std::string flag = typed.substr(0, typed.find('='));
    completion = Value(*place.app, flag, typed.substr(flag.size() + 1), target, &names);
    for (std::string& word : completion.words) word = absl::StrCat(flag, "=", word);
    return completion;
  }
  if (absl::StartsWith(typed, "-")) {
    std::set<std::string> flags;
    for (const CLI::App* app : {place.app, &root}) {
      for (const CLI::Option* option : app->get_options()) {
        for (const std::string& name : option->get_lnames()) flags.insert("--" + name);
      }
    }
    completion.words = StartingWith("", typed, {flags.begin(), flags.end()});
    return completion;
  }
  std::vector<std::string> commands;
  for (const CLI::App* command : place.app->get_subcommands([](const CLI::App*) { return true; })) {
    if (!command->get_group().empty()) commands.push_back(command->get_name());
  }
  if (commands.empty()) return Positional(place, typed, &names);
  completion.words = StartingWith("", typed, commands);
  return completion;
}

}  // namespace coppice::cli

#include "cli/select.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/format.h"
#include "cli/selection.h"
#include "cli/sweep_view.h"
#include "cli/target.h"
#include "cli/where.h"
#include "common/base/nearest_word.h"
#include "common/base/status_macros.h"
#include "common/spec/axes.h"

namespace coppice::cli {
namespace {

constexpr size_t kMaxNumbers = 100'000;
constexpr size_t kMaxNames = 10;
constexpr char kJobForm[] =
    "name a job by its number or as SWEEP/TASK/DEPTH/SEED, for example demo/question/2/0";

std::vector<std::string> StateWords() {
  return {"pending", "running", "succeeded", "failed", "cancelled"};
}

absl::StatusOr<v1::JobState> ParseState(const std::string& text) {
  v1::JobState state;
  if (v1::JobState_Parse(absl::AsciiStrToUpper(text), &state) &&
      state != v1::JOB_STATE_UNSPECIFIED) {
    return state;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "--state '", text, "' is no state; use pending, running, succeeded, failed or cancelled",
      AfterSemicolon(DidYouMean(absl::AsciiStrToLower(text), StateWords()))));
}

// Adds one flag's values. A flag and a target that both choose are an error.
template <typename T, typename List>
absl::Status Narrow(const std::string& flag, const std::vector<T>& values, List* list) {
  if (values.empty()) return absl::OkStatus();
  if (!list->empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(flag, " and the target both choose; give one of them"));
  }
  for (const T& value : values) *list->Add() = value;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> ParseTasks(const std::string& flag,
                                                    const std::vector<std::string>& texts) {
  std::vector<std::string> tasks;
  for (const std::string& text : texts) {
    for (const absl::string_view task : absl::StrSplit(text, ',')) {
      if (!IsTask(task)) {
        return absl::InvalidArgumentError(absl::StrCat(flag, " '", task,
                                                       "' is no task; use question, tense or dyck",
                                                       AfterSemicolon(DidYouMeanTask(task))));
      }
      tasks.emplace_back(task);
    }
  }
  return tasks;
}

// Adds one condition. Those on task, depth and seed go into the lists of the filter.
absl::Status ApplyCondition(const std::string& source, const AxisText& condition,
                            v1::JobFilter* filter) {
  const std::string flag = absl::StrCat(source, " ", condition.axis);
  if (condition.axis == "task") {
    COPPICE_ASSIGN_OR_RETURN(const auto tasks, ParseTasks(flag, {condition.values}));
    return Narrow(flag, tasks, filter->mutable_tasks());
  }
  if (condition.axis == "depth" || condition.axis == "seed") {
    COPPICE_ASSIGN_OR_RETURN(const auto numbers, ParseNumbers(flag, {condition.values}));
    return Narrow(flag, numbers,
                  condition.axis == "depth" ? filter->mutable_depths() : filter->mutable_seeds());
  }
  for (const v1::AxisCondition& other : filter->where()) {
    if (other.axis() != condition.axis) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(flag, " and another condition both choose; give one of them, with a list"));
  }
  v1::AxisCondition* added = filter->add_where();
  added->set_axis(condition.axis);
  for (const absl::string_view value : absl::StrSplit(condition.values, ','))
    added->add_values(std::string(value));
  return absl::OkStatus();
}

absl::Status ApplyFlags(const FilterFlags& flags, v1::JobFilter* filter) {
  COPPICE_ASSIGN_OR_RETURN(const auto tasks, ParseTasks("--task", flags.tasks));
  COPPICE_RETURN_IF_ERROR(Narrow("--task", tasks, filter->mutable_tasks()));
  COPPICE_ASSIGN_OR_RETURN(const auto depths, ParseNumbers("--depth", flags.depths));
  COPPICE_RETURN_IF_ERROR(Narrow("--depth", depths, filter->mutable_depths()));
  COPPICE_ASSIGN_OR_RETURN(const auto seeds, ParseNumbers("--seed", flags.seeds));
  COPPICE_RETURN_IF_ERROR(Narrow("--seed", seeds, filter->mutable_seeds()));
  for (const std::string& text : flags.where) {
    COPPICE_ASSIGN_OR_RETURN(const AxisText condition, ParseAxisText("--where", text));
    COPPICE_RETURN_IF_ERROR(ApplyCondition("--where", condition, filter));
  }
  for (const std::string& text : flags.states) {
    for (const absl::string_view word : absl::StrSplit(text, ',')) {
      COPPICE_ASSIGN_OR_RETURN(const v1::JobState state, ParseState(std::string(word)));
      filter->add_states(state);
    }
  }
  return absl::OkStatus();
}

std::vector<std::string> SweepNames(const v1::ListSweepsResponse& list) {
  std::vector<std::string> names;
  for (const v1::SweepSummary& sweep : list.sweeps()) names.push_back(sweep.name());
  return names;
}

absl::StatusOr<std::string> OnlySweep(Client* client) {
  COPPICE_ASSIGN_OR_RETURN(const v1::ListSweepsResponse list, client->ListSweeps());
  if (list.sweeps_size() == 1) return list.sweeps(0).name();
  if (list.sweeps().empty()) {
    return absl::NotFoundError(
        absl::StrCat("the coordinator at ", client->address(),
                     " has no sweep yet; submit one with `coppice submit SPEC`"));
  }
  std::vector<std::string> names = SweepNames(list);
  const bool cut = names.size() > kMaxNames;
  if (cut) names.resize(kMaxNames);
  return absl::InvalidArgumentError(absl::StrCat("there are ", list.sweeps_size(),
                                                 " sweeps; name one: ", absl::StrJoin(names, ", "),
                                                 cut ? ", ..." : ""));
}

// Finds the sweep. NOT_FOUND suggests the nearest name.
absl::StatusOr<v1::GetSweepResponse> FindSweep(Client* client, const std::string& name) {
  absl::StatusOr<v1::GetSweepResponse> found = client->GetSweep(name);
  if (!absl::IsNotFound(found.status())) return found;
  COPPICE_ASSIGN_OR_RETURN(const v1::ListSweepsResponse list, client->ListSweeps());
  const std::string nearest = NearestWord(name, SweepNames(list));
  return absl::NotFoundError(
      absl::StrCat("the coordinator at ", client->address(), " has no sweep '", name, "'; ",
                   nearest.empty() ? "`coppice list` shows those there are"
                                   : absl::StrCat("did you mean '", nearest, "'?")));
}

// Checks the filter against the sweep's grid, and gives the values of axes their names. Points that
// the sweep excludes are no part of the grid.
absl::Status CheckSelection(const v1::GetSweepResponse& sweep, v1::JobFilter* filter) {
  COPPICE_RETURN_IF_ERROR(ResolveWhere(sweep.spec(), filter));
  COPPICE_RETURN_IF_ERROR(CheckGrid(sweep.spec(), *filter));
  return CheckPoints(sweep, *filter);
}

absl::StatusOr<v1::JobFilter> OfJob(Client* client, const v1::Job& job, const FilterFlags& flags) {
  v1::JobFilter filter;
  filter.set_sweep(job.sweep());
  filter.add_job_ids(job.id());
  COPPICE_RETURN_IF_ERROR(ApplyFlags(flags, &filter));
  if (filter.where_size() > 0) {
    COPPICE_ASSIGN_OR_RETURN(const v1::GetSweepResponse sweep, client->GetSweep(job.sweep()));
    COPPICE_RETURN_IF_ERROR(ResolveWhere(sweep.spec(), &filter));
  }
  COPPICE_RETURN_IF_ERROR(CheckJob(job, filter));
  return filter;
}

absl::StatusOr<v1::JobFilter> OfSweep(Client* client, const Target& target,
                                      const FilterFlags& flags) {
  v1::JobFilter filter;
  filter.set_sweep(target.sweep);
  if (target.task.has_value()) filter.add_tasks(*target.task);
  if (target.depth.has_value()) filter.add_depths(*target.depth);
  if (target.seed.has_value()) filter.add_seeds(*target.seed);
  for (const AxisText& condition : target.where)
    COPPICE_RETURN_IF_ERROR(ApplyCondition("the target's", condition, &filter));
  // Typing errors are reported before the coordinator is asked.
  COPPICE_RETURN_IF_ERROR(ApplyFlags(flags, &filter));
  if (filter.sweep().empty()) {
    COPPICE_ASSIGN_OR_RETURN(*filter.mutable_sweep(), OnlySweep(client));
  }
  COPPICE_ASSIGN_OR_RETURN(const v1::GetSweepResponse sweep, FindSweep(client, filter.sweep()));
  COPPICE_RETURN_IF_ERROR(CheckSelection(sweep, &filter));
  return filter;
}

// Resolves a bare number, which is a job's or the name of a sweep. If both exist it is refused, not
// guessed.
absl::StatusOr<v1::JobFilter> OfNumber(Client* client, const Target& target,
                                       const FilterFlags& flags) {
  const absl::StatusOr<v1::GetSweepResponse> sweep = client->GetSweep(target.sweep);
  if (!sweep.ok() && !absl::IsNotFound(sweep.status())) return sweep.status();
  const absl::StatusOr<v1::GetJobResponse> job = client->GetJob(*target.job);
  if (!job.ok() && !absl::IsNotFound(job.status())) return job.status();
  if (sweep.ok() && job.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", target.sweep, "' is a sweep and also the number of the job ", job->job().sweep(), "/",
        JobName(job->job()), "; write sweep:", target.sweep, " or job:", target.sweep));
  }
  if (job.ok()) return OfJob(client, job->job(), flags);
  if (sweep.ok()) return OfSweep(client, target, flags);
  return absl::NotFoundError(absl::StrCat("the coordinator at ", client->address(), " has no job ",
                                          target.sweep, " and no sweep '", target.sweep, "'"));
}

}  // namespace

absl::StatusOr<std::vector<uint32_t>> ParseNumbers(const std::string& flag,
                                                   const std::vector<std::string>& texts) {
  std::vector<uint32_t> numbers;
  const auto bad = [&](absl::string_view text) {
    return absl::InvalidArgumentError(absl::StrCat(
        flag, " '", text, "' is no number and no range; use for example 3, 0-9 or 1,2"));
  };
  for (const std::string& text : texts) {
    for (const absl::string_view part : absl::StrSplit(text, ',')) {
      const std::vector<std::string> ends = absl::StrSplit(part, '-');
      uint32_t first = 0;
      uint32_t last = 0;
      if (ends.size() > 2 || !IsNumber(ends.front()) || !IsNumber(ends.back()) ||
          !absl::SimpleAtoi(ends.front(), &first) || !absl::SimpleAtoi(ends.back(), &last) ||
          first > last) {
        return bad(part);
      }
      if (uint64_t{last} - first + numbers.size() >= kMaxNumbers) {
        return absl::InvalidArgumentError(
            absl::StrCat(flag, " names more than ", kMaxNumbers, " numbers; use fewer"));
      }
      for (uint64_t n = first; n <= last; ++n) numbers.push_back(static_cast<uint32_t>(n));
    }
  }
  return numbers;
}

absl::StatusOr<v1::JobFilter> Select(Client* client, const std::string& text,
                                     const FilterFlags& flags) {
  COPPICE_ASSIGN_OR_RETURN(const Target target, ParseTarget(text));
  if (!target.job.has_value()) return OfSweep(client, target, flags);
  if (!target.sweep.empty()) return OfNumber(client, target, flags);
  COPPICE_ASSIGN_OR_RETURN(const v1::GetJobResponse found, client->GetJob(*target.job));
  return OfJob(client, found.job(), flags);
}

absl::StatusOr<v1::JobFilter> SelectToChange(Client* client, const std::string& text,
                                             const FilterFlags& flags) {
  COPPICE_ASSIGN_OR_RETURN(const Target target, ParseTarget(text));
  if (!target.job.has_value() && target.sweep.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", text, "' names no sweep; name the sweep or the job to change, for example demo or ",
        "demo/question/2/0"));
  }
  COPPICE_ASSIGN_OR_RETURN(v1::JobFilter filter, Select(client, text, flags));
  if (filter.states().empty()) return filter;
  bool any = false;
  COPPICE_RETURN_IF_ERROR(client->ListJobs(filter, false, [&](const v1::ListJobsResponse& page) {
    any |= page.jobs_size() > 0;
    return !any;
  }));
  if (any) return filter;
  COPPICE_ASSIGN_OR_RETURN(const std::string none, NoneInState(client, filter));
  return absl::NotFoundError(none);
}

absl::StatusOr<std::string> NoneInState(Client* client, const v1::JobFilter& filter) {
  COPPICE_ASSIGN_OR_RETURN(const v1::GetSweepResponse found, client->GetSweep(filter.sweep()));
  std::vector<std::string> states;
  for (const int state : filter.states())
    states.push_back(StateWord(static_cast<v1::JobState>(state)));
  return absl::StrCat("no job of ", filter.sweep(), " that matches is ",
                      absl::StrJoin(states, " or "), "; ", filter.sweep(), " has ",
                      CountsText(Terminal(), found.sweep().counts()));
}

absl::StatusOr<std::string> ResolveSweep(Client* client, const std::string& text) {
  if (text.empty()) return OnlySweep(client);
  absl::StatusOr<Target> target = ParseTarget(text);
  if (!target.ok() || target->sweep.empty() || target->task.has_value() || !target->where.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", text, "' is no sweep's name; this command takes whole sweeps"));
  }
  COPPICE_RETURN_IF_ERROR(FindSweep(client, target->sweep).status());
  return target->sweep;
}

absl::StatusOr<uint64_t> ResolveJob(Client* client, const std::string& text) {
  const absl::StatusOr<Target> target = ParseTarget(text);
  // A number cannot be a sweep's name here, since a sweep is no job.
  if (target.ok() && target->job.has_value()) return *target->job;
  if (!target.ok() || (!target->seed.has_value() && target->where.empty())) {
    return absl::InvalidArgumentError(absl::StrCat("'", text, "' names no job; ", kJobForm));
  }
  const absl::StatusOr<v1::JobFilter> found = OfSweep(client, *target, {});
  if (absl::IsNotFound(found.status())) {
    return absl::NotFoundError(
        absl::StrCat("there is no job ", text, ": ", std::string(found.status().message())));
  }
  COPPICE_RETURN_IF_ERROR(found.status());
  const v1::JobFilter& filter = *found;
  uint64_t id = 0;
  bool several = false;
  COPPICE_RETURN_IF_ERROR(client->ListJobs(filter, false, [&](const v1::ListJobsResponse& page) {
    if (page.jobs_size() > 0) several = id != 0 || page.jobs_size() > 1;
    if (page.jobs_size() > 0) id = page.jobs(0).id();
    return id == 0;
  }));
  if (several) {
    COPPICE_ASSIGN_OR_RETURN(const v1::GetSweepResponse sweep, client->GetSweep(filter.sweep()));
    return absl::InvalidArgumentError(
        absl::StrCat("'", text, "' names several jobs; give one value for each of ",
                     absl::StrJoin(AxisNamesOf(sweep.spec()), ", ")));
  }
  if (id == 0) {
    return absl::NotFoundError(absl::StrCat("there is no job ", text, "; `coppice jobs ",
                                            filter.sweep(), "` lists those there are"));
  }
  return id;
}

std::string JobName(const v1::Job& job) {
  return spec::JobText(job.point(), job.task(), job.depth(), job.seed());
}

}  // namespace coppice::cli

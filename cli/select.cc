#include "cli/select.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

constexpr size_t kMaxNumbers = 100'000;
constexpr char kJobForm[] =
    "name a job by its number or as SWEEP/TASK/DEPTH/SEED, for example demo/question/2/0";

bool IsTask(const std::string& text) {
  return text == "question" || text == "tense" || text == "dyck";
}

bool IsNumber(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

absl::StatusOr<v1::JobState> ParseState(const std::string& text) {
  v1::JobState state;
  if (v1::JobState_Parse(absl::AsciiStrToUpper(text), &state) &&
      state != v1::JOB_STATE_UNSPECIFIED) {
    return state;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "--state '", text, "' is no state; use pending, running, succeeded, failed or cancelled"));
}

absl::StatusOr<v1::JobFilter> OfJob(Client* client, const std::string& number) {
  uint64_t id = 0;
  if (!absl::SimpleAtoi(number, &id)) {
    return absl::InvalidArgumentError(absl::StrCat("'", number, "' is no job number; ", kJobForm));
  }
  COPPICE_ASSIGN_OR_RETURN(const v1::GetJobResponse found, client->GetJob(id));
  v1::JobFilter filter;
  filter.set_sweep(found.job().sweep());
  filter.add_job_ids(id);
  return filter;
}

// One flag's values against what the target fixed already.
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

absl::Status ApplyFlags(const FilterFlags& flags, v1::JobFilter* filter) {
  std::vector<std::string> tasks;
  for (const std::string& text : flags.tasks) {
    for (const absl::string_view task : absl::StrSplit(text, ',')) {
      if (!IsTask(std::string(task))) {
        return absl::InvalidArgumentError(
            absl::StrCat("--task '", task, "' is no task; use question, tense or dyck"));
      }
      tasks.emplace_back(task);
    }
  }
  COPPICE_RETURN_IF_ERROR(Narrow("--task", tasks, filter->mutable_tasks()));
  COPPICE_ASSIGN_OR_RETURN(const auto depths, ParseNumbers("--depth", flags.depths));
  COPPICE_RETURN_IF_ERROR(Narrow("--depth", depths, filter->mutable_depths()));
  COPPICE_ASSIGN_OR_RETURN(const auto seeds, ParseNumbers("--seed", flags.seeds));
  COPPICE_RETURN_IF_ERROR(Narrow("--seed", seeds, filter->mutable_seeds()));
  for (const std::string& text : flags.states) {
    for (const absl::string_view word : absl::StrSplit(text, ',')) {
      COPPICE_ASSIGN_OR_RETURN(const v1::JobState state, ParseState(std::string(word)));
      filter->add_states(state);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ResolveSweep(Client* client, const std::string& name) {
  if (!name.empty()) return name;
  COPPICE_ASSIGN_OR_RETURN(const v1::ListSweepsResponse list, client->ListSweeps());
  if (list.sweeps_size() == 1) return list.sweeps(0).name();
  if (list.sweeps().empty()) {
    return absl::NotFoundError(
        absl::StrCat("the coordinator at ", client->address(),
                     " has no sweep yet; submit one with `coppice submit SPEC`"));
  }
  std::vector<std::string> names;
  for (int i = 0; i < std::min(list.sweeps_size(), 10); ++i) names.push_back(list.sweeps(i).name());
  return absl::InvalidArgumentError(absl::StrCat("there are ", list.sweeps_size(),
                                                 " sweeps; name one: ", absl::StrJoin(names, ", "),
                                                 list.sweeps_size() > 10 ? ", ..." : ""));
}

absl::StatusOr<v1::JobFilter> ResolveTarget(Client* client, const std::string& target) {
  if (IsNumber(target)) return OfJob(client, target);
  const std::vector<std::string> parts = absl::StrSplit(target, '/');
  uint32_t number = 0;
  const bool good = parts.size() <= 4 && (target.empty() || !parts[0].empty()) &&
                    (parts.size() < 2 || parts[1].empty() || IsTask(parts[1])) &&
                    (parts.size() < 3 || absl::SimpleAtoi(parts[2], &number)) &&
                    (parts.size() < 4 || absl::SimpleAtoi(parts[3], &number));
  if (!good) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", target,
                     "' names no jobs; use SWEEP, SWEEP/TASK, SWEEP/TASK/DEPTH, "
                     "SWEEP/TASK/DEPTH/SEED or a job number"));
  }
  v1::JobFilter filter;
  COPPICE_ASSIGN_OR_RETURN(*filter.mutable_sweep(), ResolveSweep(client, parts[0]));
  if (parts.size() > 1 && !parts[1].empty()) filter.add_tasks(parts[1]);
  if (parts.size() > 2 && absl::SimpleAtoi(parts[2], &number)) filter.add_depths(number);
  if (parts.size() > 3 && absl::SimpleAtoi(parts[3], &number)) filter.add_seeds(number);
  return filter;
}

absl::StatusOr<uint64_t> ResolveJob(Client* client, const std::string& text) {
  uint64_t id = 0;
  if (IsNumber(text) && absl::SimpleAtoi(text, &id)) return id;
  std::vector<std::string> parts = absl::StrSplit(text, '/');
  if (parts.size() == 3 && IsTask(parts[0])) {
    COPPICE_ASSIGN_OR_RETURN(std::string sweep, ResolveSweep(client, ""));
    parts.insert(parts.begin(), std::move(sweep));
  }
  if (parts.size() != 4 || parts[0].empty()) {
    return absl::InvalidArgumentError(absl::StrCat("'", text, "' names no job; ", kJobForm));
  }
  COPPICE_ASSIGN_OR_RETURN(const v1::JobFilter filter,
                           ResolveTarget(client, absl::StrJoin(parts, "/")));
  COPPICE_RETURN_IF_ERROR(client->ListJobs(filter, false, [&](const v1::ListJobsResponse& page) {
    if (page.jobs_size() > 0) id = page.jobs(0).id();
    return id == 0;
  }));
  if (id == 0) {
    return absl::NotFoundError(absl::StrCat("there is no job ", text, "; `coppice jobs ", parts[0],
                                            "` lists those there are"));
  }
  return id;
}

std::string JobName(const v1::Job& job) {
  return absl::StrCat(job.task(), "/", job.depth(), "/", job.seed());
}

}  // namespace coppice::cli

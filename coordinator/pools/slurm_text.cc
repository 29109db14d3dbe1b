#include "coordinator/pools/slurm_text.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/limits.h"
#include "common/base/printable.h"
#include "common/base/utf8.h"

namespace coppice::pools {
namespace {

constexpr size_t kMaxTasks = 10'000;
constexpr int64_t kMaxSeconds = int64_t{1000} * 366 * 86'400;

struct StateEntry {
  absl::string_view name;
  absl::string_view code;
  JobPhase phase;
};

constexpr std::array kStates = {
    StateEntry{"PENDING", "PD", JobPhase::kPending},
    StateEntry{"REQUEUED", "RQ", JobPhase::kPending},
    StateEntry{"REQUEUE_FED", "RF", JobPhase::kPending},
    StateEntry{"REQUEUE_HOLD", "RH", JobPhase::kPending},
    StateEntry{"RESV_DEL_HOLD", "RD", JobPhase::kPending},
    StateEntry{"SPECIAL_EXIT", "SE", JobPhase::kPending},
    StateEntry{"CONFIGURING", "CF", JobPhase::kRunning},
    StateEntry{"POWER_UP_NODE", "PU", JobPhase::kRunning},
    StateEntry{"RUNNING", "R", JobPhase::kRunning},
    StateEntry{"COMPLETING", "CG", JobPhase::kRunning},
    StateEntry{"RESIZING", "RS", JobPhase::kRunning},
    StateEntry{"SIGNALING", "SI", JobPhase::kRunning},
    StateEntry{"STAGE_OUT", "SO", JobPhase::kRunning},
    StateEntry{"STOPPED", "ST", JobPhase::kRunning},
    StateEntry{"SUSPENDED", "S", JobPhase::kRunning},
    StateEntry{"EXPEDITING", "EX", JobPhase::kRunning},
    StateEntry{"COMPLETED", "CD", JobPhase::kEnded},
    StateEntry{"CANCELLED", "CA", JobPhase::kEnded},
    StateEntry{"FAILED", "F", JobPhase::kEnded},
    StateEntry{"TIMEOUT", "TO", JobPhase::kEnded},
    StateEntry{"PREEMPTED", "PR", JobPhase::kEnded},
    StateEntry{"NODE_FAIL", "NF", JobPhase::kEnded},
    StateEntry{"BOOT_FAIL", "BF", JobPhase::kEnded},
    StateEntry{"OUT_OF_MEMORY", "OOM", JobPhase::kEnded},
    StateEntry{"DEADLINE", "DL", JobPhase::kEnded},
    StateEntry{"REVOKED", "RV", JobPhase::kEnded},
    StateEntry{"LAUNCH_FAILED", "LF", JobPhase::kEnded},
    StateEntry{"RECONFIG_FAIL", "RC", JobPhase::kEnded},
};

// "CANCELLED by 1000", "CANCELLED+" -> "CANCELLED".
absl::string_view BareState(absl::string_view state) {
  state = absl::StripAsciiWhitespace(state);
  return absl::StripSuffix(state.substr(0, state.find(' ')), "+");
}

const StateEntry* FindState(absl::string_view bare) {
  for (const StateEntry& entry : kStates) {
    if (entry.name == bare || entry.code == bare) return &entry;
  }
  return nullptr;
}

std::string Word(absl::string_view text) {
  return Utf8Head(PrintableLine(absl::StripAsciiWhitespace(text)), kMaxNameBytes);
}

bool IsNumber(absl::string_view text) {
  return !text.empty() && text.size() <= 18 &&
         std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return absl::ascii_isdigit(c); });
}

void SetState(absl::string_view text, Job* job) {
  const absl::string_view bare = BareState(text);
  const StateEntry* const entry = FindState(bare);
  job->phase = entry == nullptr ? JobPhase::kUnknown : entry->phase;
  job->state = entry == nullptr ? Word(bare) : std::string(entry->name);
}

std::string Reason(absl::string_view text) {
  const std::string word = Word(text);
  return word == "None" || word == "(null)" ? "" : word;
}

std::string Node(absl::string_view text) {
  const std::string word = Word(text);
  return word == "(null)" || word == "n/a" || word == "N/A" ? "" : word;
}

// The value of " NAME=value" in a text of such pairs; nullopt: it is not there. Values of the names
// used here hold no spaces.
std::optional<absl::string_view> Field(absl::string_view text, absl::string_view name) {
  const std::string mark = absl::StrCat(name, "=");
  for (size_t at = text.find(mark); at != absl::string_view::npos; at = text.find(mark, at + 1)) {
    if (at > 0 && !absl::ascii_isspace(static_cast<unsigned char>(text[at - 1]))) continue;
    const absl::string_view rest = text.substr(at + mark.size());
    return rest.substr(0, rest.find_first_of(" \n\t"));
  }
  return std::nullopt;
}

// The value of a line "Name   = value" of `scontrol show config`.
absl::string_view ConfigValue(absl::string_view text, absl::string_view name) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const size_t equals = line.find('=');
    if (equals == absl::string_view::npos) continue;
    if (absl::StripAsciiWhitespace(line.substr(0, equals)) != name) continue;
    return absl::StripAsciiWhitespace(line.substr(equals + 1));
  }
  return "";
}

uint32_t Number(std::optional<absl::string_view> text) {
  uint32_t number = 0;
  return text.has_value() && absl::SimpleAtoi(*text, &number) ? number : 0;
}

// "25 sec" -> 25.
int64_t Seconds(absl::string_view text) {
  int64_t seconds = 0;
  return absl::SimpleAtoi(text.substr(0, text.find(' ')), &seconds) && seconds >= 0 ? seconds : 0;
}

}  // namespace

JobPhase PhaseOfState(absl::string_view state) {
  Job job;
  SetState(state, &job);
  return job.phase;
}

std::vector<Job> ParseQueue(absl::string_view text, absl::TimeZone zone) {
  std::vector<Job> jobs;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, absl::MaxSplits('|', 7));
    if (fields.size() != 8 || !IsNumber(absl::StripAsciiWhitespace(fields[0]))) continue;
    Job job;
    job.job_id = std::string(absl::StripAsciiWhitespace(fields[0]));
    SetState(fields[2], &job);
    job.reason = Reason(fields[3]);
    job.start_ms = ParseSlurmTime(fields[4], zone);
    job.end_ms = ParseSlurmTime(fields[5], zone);
    job.node = Node(fields[6]);
    job.key = Word(fields[7]);
    const absl::string_view shown = absl::StripAsciiWhitespace(fields[1]);
    if (!absl::StrContains(shown, '[')) {
      jobs.push_back(std::move(job));
      continue;
    }
    for (std::string& id : ExpandArrayId(shown)) {
      job.job_id = std::move(id);
      jobs.push_back(job);
    }
  }
  return jobs;
}

absl::StatusOr<Job> ParseShownJob(absl::string_view text, absl::TimeZone zone) {
  const auto id = Field(text, "JobId");
  const auto state = Field(text, "JobState");
  if (!id.has_value() || !IsNumber(*id) || !state.has_value()) {
    return absl::InternalError("scontrol's answer holds no job");
  }
  Job job;
  job.job_id = std::string(*id);
  job.key = Word(Field(text, "JobName").value_or(""));
  SetState(*state, &job);
  job.reason = Reason(Field(text, "Reason").value_or(""));
  job.node = Node(Field(text, "NodeList").value_or(""));
  job.start_ms = ParseSlurmTime(Field(text, "StartTime").value_or(""), zone);
  job.end_ms = ParseSlurmTime(Field(text, "EndTime").value_or(""), zone);
  if (const auto restarts = Field(text, "Restarts")) job.restarts = Number(restarts);
  if (const auto code = Field(text, "ExitCode")) {
    int number = 0;
    if (absl::SimpleAtoi(code->substr(0, code->find(':')), &number)) job.exit_code = number;
  }
  return job;
}

std::string ParseSubmittedId(absl::string_view text) {
  std::string id;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipWhitespace())) {
    line = absl::StripAsciiWhitespace(line);
    line = line.substr(0, line.find(';'));
    // A site's plugin may print lines of its own before it.
    if (IsNumber(line)) id = std::string(line);
  }
  return id;
}

std::string ReadableStart(absl::string_view text) {
  static constexpr absl::string_view kMark = " to start at ";
  const size_t mark = text.find(kMark);
  if (mark == absl::string_view::npos) return std::string(text);
  const absl::string_view rest = text.substr(mark + kMark.size());
  const absl::string_view seconds = rest.substr(0, rest.find(' '));
  const int64_t start_ms = ParseSlurmTime(seconds, absl::UTCTimeZone());
  if (start_ms == 0) return std::string(text);
  return absl::StrCat(text.substr(0, mark + kMark.size()),
                      absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::FromUnixMillis(start_ms),
                                       absl::UTCTimeZone()),
                      rest.substr(seconds.size()));
}

void ParsePartition(absl::string_view text, Capabilities* capabilities) {
  capabilities->partition_up = Field(text, "State").value_or("UP") == "UP";
  capabilities->max_time_s = ParseSlurmDuration(Field(text, "MaxTime").value_or(""));
  capabilities->default_time_s = ParseSlurmDuration(Field(text, "DefaultTime").value_or(""));
  capabilities->grace_time_s = Number(Field(text, "GraceTime"));
  capabilities->preempt_mode = Word(Field(text, "PreemptMode").value_or(""));
  capabilities->nodes = Number(Field(text, "TotalNodes"));
  capabilities->cpus = Number(Field(text, "TotalCPUs"));
}

void ParseConfig(absl::string_view text, Capabilities* capabilities) {
  capabilities->version = Word(ConfigValue(text, "SLURM_VERSION"));
  capabilities->kill_wait_s = Seconds(ConfigValue(text, "KillWait"));
  const std::string exit = Word(ConfigValue(text, "RequeueExit"));
  capabilities->requeue_exit = exit == "(null)" ? "" : exit;
  if (capabilities->preempt_mode.empty()) {
    capabilities->preempt_mode = Word(ConfigValue(text, "PreemptMode"));
  }
}

absl::string_view DefaultPartition(absl::string_view text) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (Field(line, "Default") == "YES") return line;
  }
  return "";
}

int64_t ParseSlurmTime(absl::string_view text, absl::TimeZone zone) {
  text = absl::StripAsciiWhitespace(text);
  int64_t seconds = 0;
  if (IsNumber(text) && absl::SimpleAtoi(text, &seconds)) {
    return seconds <= kMaxSeconds ? seconds * 1000 : 0;
  }
  absl::Time time;
  std::string error;
  if (!absl::ParseTime("%Y-%m-%dT%H:%M:%S", text, zone, &time, &error)) return 0;
  return time == absl::InfiniteFuture() || time == absl::InfinitePast() ? 0
                                                                        : absl::ToUnixMillis(time);
}

int64_t ParseSlurmDuration(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  int64_t days = 0;
  const size_t dash = text.find('-');
  if (dash != absl::string_view::npos) {
    if (!IsNumber(text.substr(0, dash)) || !absl::SimpleAtoi(text.substr(0, dash), &days)) return 0;
    text.remove_prefix(dash + 1);
  }
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ':');
  std::array<int64_t, 3> values = {0, 0, 0};
  if (parts.size() > 3 || days > 1'000'000) return 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (!IsNumber(parts[i]) || parts[i].size() > 9 || !absl::SimpleAtoi(parts[i], &values[i])) {
      return 0;
    }
  }
  // After days: hours[:minutes[:seconds]]. Without: minutes[:seconds], or hours:minutes:seconds.
  if (dash != absl::string_view::npos || parts.size() == 3) {
    return days * 86'400 + values[0] * 3600 + values[1] * 60 + values[2];
  }
  return values[0] * 60 + values[1];
}

std::string FormatSlurmDuration(int64_t seconds) {
  const std::string clock =
      absl::StrFormat("%02d:%02d:%02d", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
  return seconds < 86'400 ? clock : absl::StrCat(seconds / 86'400, "-", clock);
}

std::vector<std::string> ExpandArrayId(absl::string_view id) {
  const size_t open = id.find('[');
  const size_t close = id.find(']');
  if (open == absl::string_view::npos || close == absl::string_view::npos || close < open) {
    return {std::string(id)};
  }
  absl::string_view inside = id.substr(open + 1, close - open - 1);
  inside = inside.substr(0, inside.find('%'));
  std::vector<std::string> ids;
  for (absl::string_view range : absl::StrSplit(inside, ',')) {
    const std::vector<absl::string_view> ends = absl::StrSplit(range, absl::MaxSplits('-', 1));
    uint32_t first = 0, last = 0;
    if (!absl::SimpleAtoi(ends.front(), &first)) continue;
    if (!absl::SimpleAtoi(ends.back(), &last)) last = first;
    for (uint64_t task = first; task <= last && ids.size() < kMaxTasks; ++task) {
      ids.push_back(absl::StrCat(id.substr(0, open), task));
    }
  }
  return ids;
}

}  // namespace coppice::pools

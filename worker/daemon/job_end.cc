#include "worker/daemon/job_end.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/logging.h"
#include "common/base/printable.h"
#include "common/base/utf8.h"

namespace coppice::worker {
namespace {

constexpr size_t kMaxShownTimeBytes = 100;
constexpr absl::Duration kAskAgain = absl::Minutes(3);
constexpr absl::Duration kAskAgainUnknown = absl::Seconds(30);
// Clocks of a cluster may differ by a little.
constexpr absl::Duration kPast = absl::Minutes(1);
// slurmctld keeps a job without a limit as one that ends in a year.
constexpr absl::Duration kLongest = absl::Hours(24 * 3660);
// Answers that differ by less say the same.
constexpr absl::Duration kSameEnd = absl::Seconds(2);

absl::Status NoTime(absl::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat(
      "'", PrintableLine(Utf8Head(text, kMaxShownTimeBytes)), "' is no end of a job that runs"));
}

absl::StatusOr<absl::Time> ParseEnd(absl::string_view text, absl::Time now) {
  absl::Time end;
  int64_t seconds = 0;
  std::string error;
  if (absl::SimpleAtoi(text, &seconds)) {
    if (seconds <= 0 || seconds > absl::ToUnixSeconds(now + kLongest)) return NoTime(text);
    end = absl::FromUnixSeconds(seconds);
  } else if (!absl::ParseTime("%Y-%m-%dT%H:%M:%S", text, absl::LocalTimeZone(), &end, &error)) {
    return NoTime(text);
  }
  if (end < now - kPast || end > now + kLongest) return NoTime(text);
  return end;
}

bool IsNoLimit(absl::string_view text) { return text == "NONE" || text == "UNLIMITED"; }

// The value of "Key=value" in the output of scontrol.
std::string ValueOf(absl::string_view text, absl::string_view key) {
  for (absl::string_view word : absl::StrSplit(text, absl::ByAnyChar(" \n\t"), absl::SkipEmpty())) {
    if (absl::StartsWith(word, key) && word.size() > key.size() && word[key.size()] == '=') {
      return std::string(word.substr(key.size() + 1));
    }
  }
  return "";
}

}  // namespace

absl::StatusOr<absl::Time> EndInQueue(const std::string& text, absl::Time now) {
  const absl::string_view answer = absl::StripAsciiWhitespace(text);
  if (IsNoLimit(answer)) return absl::InfiniteFuture();
  return ParseEnd(answer, now);
}

absl::StatusOr<absl::Time> EndInJob(const std::string& text, absl::Time now) {
  if (IsNoLimit(ValueOf(text, "TimeLimit"))) return absl::InfiniteFuture();
  return ParseEnd(ValueOf(text, "EndTime"), now);
}

JobEnd::JobEnd(const Environment* environment, Allocation allocation, std::string path,
               std::optional<absl::Time> known, std::function<void(absl::Time)> on_end)
    : environment_(environment),
      allocation_(std::move(allocation)),
      path_(std::move(path)),
      on_end_(std::move(on_end)),
      end_(known),
      reader_(environment),
      next_(environment) {}

void JobEnd::Start() {
  if (end_) {
    source_ = "SLURM_JOB_END_TIME";
    spdlog::info("the end of Slurm job {} comes from {}", allocation_.job_id, source_);
  }
  AskQueue();
}

void JobEnd::AskQueue() {
  reader_.Read({"squeue", "-h", "-j", allocation_.raw_job_id, "-o", "%e"}, path_,
               [this](absl::StatusOr<std::string> answer) {
                 if (!answer.ok()) return AskJob(answer.status());
                 const auto end = EndInQueue(*answer, environment_->clock->Now());
                 if (!end.ok()) return AskJob(end.status());
                 OnEnd(*end, "squeue");
               });
}

void JobEnd::AskJob(const absl::Status& queue) {
  reader_.Read({"scontrol", "-o", "show", "job", allocation_.raw_job_id}, path_,
               [this, queue](absl::StatusOr<std::string> answer) {
                 if (!answer.ok()) return OnUnknown(queue);
                 const auto end = EndInJob(*answer, environment_->clock->Now());
                 if (!end.ok()) return OnUnknown(end.status());
                 OnEnd(*end, "scontrol");
               });
}

void JobEnd::OnEnd(absl::Time end, const std::string& source) {
  next_.Start(kAskAgain, [this] { AskQueue(); });
  said_unknown_ = false;
  if (source_.empty()) {
    spdlog::info("the end of Slurm job {} comes from {}{}", allocation_.job_id, source,
                 end == absl::InfiniteFuture() ? ": it has no limit" : "");
  }
  source_ = source;
  const bool same =
      end_.has_value() && (end == *end_ || (end > *end_ - kSameEnd && end < *end_ + kSameEnd));
  if (same) return;
  if (end_) spdlog::info("Slurm has moved the end of job {}", allocation_.job_id);
  end_ = end;
  on_end_(end);
}

void JobEnd::OnUnknown(const absl::Status& reason) {
  next_.Start(end_ ? kAskAgain : kAskAgainUnknown, [this] { AskQueue(); });
  if (std::exchange(said_unknown_, true)) return;
  if (end_) {
    spdlog::warn("cannot read again when Slurm job {} ends ({}); what was known holds",
                 allocation_.job_id, std::string(reason.message()));
  } else {
    spdlog::warn(
        "when Slurm job {} ends is unknown ({}); asking again. Until then the worker takes work to "
        "the end and is stopped by Slurm's signals; --walltime DURATION says it by hand",
        allocation_.job_id, std::string(reason.message()));
  }
}

}  // namespace coppice::worker

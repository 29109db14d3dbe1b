#include "worker/daemon/grace_check.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/logging.h"

namespace coppice::worker {
namespace {

// From the last write of a checkpoint to the end of the process.
constexpr absl::Duration kReserve = absl::Seconds(1);

// "30", or "30 sec".
std::optional<absl::Duration> SecondsIn(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  absl::ConsumeSuffix(&text, " sec");
  uint32_t seconds = 0;
  if (!absl::SimpleAtoi(text, &seconds)) return std::nullopt;
  return absl::Seconds(seconds);
}

}  // namespace

std::optional<absl::Duration> KillWaitIn(const std::string& text) {
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::pair<absl::string_view, absl::string_view> pair =
        absl::StrSplit(line, absl::MaxSplits('=', 1));
    if (absl::StripAsciiWhitespace(pair.first) == "KillWait") return SecondsIn(pair.second);
  }
  return std::nullopt;
}

std::optional<absl::Duration> GraceTimeIn(const std::string& text) {
  for (absl::string_view word : absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty())) {
    if (absl::ConsumePrefix(&word, "GraceTime=")) return SecondsIn(word);
  }
  return std::nullopt;
}

std::string GraceAdvice(absl::Duration grace, const SlurmGrace& slurm,
                        const std::string& partition) {
  const absl::Duration preempted =
      slurm.kill_wait + (slurm.in_step ? slurm.grace_time : absl::ZeroDuration());
  if (grace <= preempted - kReserve) return "";
  const std::string sources =
      slurm.in_step
          ? absl::StrCat("GraceTime ", absl::FormatDuration(slurm.grace_time), " of partition ",
                         partition, " and KillWait ", absl::FormatDuration(slurm.kill_wait))
          : absl::StrCat("KillWait ", absl::FormatDuration(slurm.kill_wait));
  const std::string more =
      !slurm.in_step && slurm.grace_time > absl::ZeroDuration()
          ? absl::StrCat(", start the worker with srun, which adds the ",
                         absl::FormatDuration(slurm.grace_time), " of the partition's GraceTime")
          : "";
  return absl::StrCat("--grace ", absl::FormatDuration(grace),
                      " is longer than Slurm waits: a preempted worker is "
                      "killed ",
                      absl::FormatDuration(preempted), " after SIGTERM (", sources,
                      "), perhaps in the middle of a checkpoint; give --grace ",
                      absl::FormatDuration(std::max(absl::Seconds(1), preempted - kReserve)), more,
                      ", or ask the site for a longer time");
}

GraceCheck::GraceCheck(const Environment* environment, Allocation allocation, std::string path,
                       bool in_step, absl::Duration grace)
    : allocation_(std::move(allocation)),
      path_(std::move(path)),
      grace_(grace),
      reader_(environment) {
  slurm_.in_step = in_step;
}

void GraceCheck::Start() {
  reader_.Read({"scontrol", "show", "config"}, path_,
               [this](const absl::StatusOr<std::string>& answer) { OnConfig(answer); });
}

void GraceCheck::OnConfig(const absl::StatusOr<std::string>& answer) {
  const auto wait = answer.ok() ? KillWaitIn(*answer) : std::nullopt;
  if (!wait) {
    spdlog::info(
        "whether --grace {} fits the cluster is unknown ({})", absl::FormatDuration(grace_),
        answer.ok() ? "scontrol names no KillWait" : std::string(answer.status().message()));
    return;
  }
  slurm_.kill_wait = *wait;
  if (allocation_.partition.empty()) return OnPartition(absl::NotFoundError(""));
  reader_.Read({"scontrol", "-o", "show", "partition", allocation_.partition}, path_,
               [this](const absl::StatusOr<std::string>& answer) { OnPartition(answer); });
}

void GraceCheck::OnPartition(const absl::StatusOr<std::string>& answer) {
  // Without an answer the partition counts as one that adds nothing.
  if (answer.ok()) slurm_.grace_time = GraceTimeIn(*answer).value_or(absl::ZeroDuration());
  const std::string advice = GraceAdvice(grace_, slurm_, allocation_.partition);
  if (!advice.empty()) spdlog::warn("{}", advice);
}

}  // namespace coppice::worker

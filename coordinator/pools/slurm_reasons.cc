#include "coordinator/pools/slurm_reasons.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/printable.h"
#include "common/base/utf8.h"

namespace coppice::pools {
namespace {

constexpr size_t kMaxRefusalBytes = 500;
// A worker that failed after so long had worked before.
constexpr int64_t kQuickSeconds = 300;

using Kind = SubmitResult::Kind;

struct Refusal {
  absl::string_view text;  // in small letters
  Kind kind;
  absl::string_view remedy;
};

// The first entry whose text occurs decides.
constexpr Refusal kRefusals[] = {
    {"invalid partition", Kind::kPermanent, "`sinfo` lists the partitions; set --partition."},
    {"invalid account", Kind::kPermanent,
     "`sacctmgr show associations user=$USER` lists the accounts; set --account."},
    {"invalid qos", Kind::kPermanent, "`sacctmgr show qos` lists them; set --qos."},
    {"invalid generic resource", Kind::kPermanent,
     "`sinfo -o '%P %G'` lists the partitions' gres; set --gres or --gpus."},
    {"invalid feature", Kind::kPermanent,
     "`sinfo -o '%P %f'` lists the partitions' features; set --constraint."},
    {"invalid gres", Kind::kPermanent, "`sinfo -o '%P %G'` lists the partitions' gres."},
    {"requested node configuration is not available", Kind::kPermanent,
     "No node of the partition has so many GPUs, CPUs or so much memory: compare with "
     "`scontrol show nodes`."},
    {"node count specification invalid", Kind::kPermanent, "Look at the partition's MaxNodes."},
    {"more processors requested than permitted", Kind::kPermanent, "Lower --cpus."},
    {"memory specification can not be satisfied", Kind::kPermanent, "Lower --memory."},
    {"requested time limit is invalid", Kind::kPermanent,
     "Lower --walltime to the partition's MaxTime."},
    {"group not permitted to use this partition", Kind::kPermanent, "Set another --partition."},
    {"access/permission denied", Kind::kPermanent, "The account may not submit there."},
    {"unrecognized option", Kind::kPermanent, "Look at --sbatch-flag."},
    {"invalid option", Kind::kPermanent, "Look at --sbatch-flag."},
    {"unable to open file", Kind::kPermanent, "Look at --log-dir."},
    {"invalid wckey", Kind::kPermanent, "Give one with --sbatch-flag=--wckey=NAME."},
    {"invalid --", Kind::kPermanent, "Look at the pool's settings and at --sbatch-flag."},
    {"job violates accounting/qos policy", Kind::kLimit,
     "A limit of the account or the QOS is reached; `sacctmgr show qos` shows them."},
    {"submitjob", Kind::kLimit, "The site's limit of submitted jobs is reached."},
    {"maxarraysize", Kind::kLimit, "The site's limit of an array is reached."},
    {"temporarily unable to accept job", Kind::kLimit, "Slurm's queue is full (MaxJobCount)."},
    {"timed out", Kind::kUnclear, ""},
    {"zero bytes were transmitted", Kind::kUnclear, ""},
    {"connect failure", Kind::kTransient, ""},
    {"connection refused", Kind::kTransient, ""},
    {"standby mode", Kind::kTransient, ""},
    {"authentication", Kind::kTransient, "Is munged running here and on the controller?"},
    {"munge", Kind::kTransient, "Is munged running here and on the controller?"},
    {"resource temporarily unavailable", Kind::kTransient, ""},
    {"unable to resolve", Kind::kTransient, "Is SLURM_CONF right on this machine?"},
    // Any other answer of the controller: it has not taken the job.
    {"batch job submission failed", Kind::kTransient, ""},
};

template <size_t N>
bool IsIn(absl::string_view word, const absl::string_view (&list)[N]) {
  return std::find(std::begin(list), std::end(list), word) != std::end(list);
}

Ending Failure(absl::string_view outcome, std::string error) {
  return {std::string(outcome), Ending::Verdict::kFailure, std::move(error)};
}

std::string ExitText(const Job& job) {
  if (job.reason == "JobLaunchFailure" || job.state == "LAUNCH_FAILED") {
    return "could not be launched; is the log folder there on the nodes, and the disk not full?";
  }
  if (!job.exit_code.has_value()) return "failed";
  if (*job.exit_code == 127) return "ended with code 127: coppice-worker was not found on the node";
  return absl::StrCat("ended with code ", *job.exit_code);
}

}  // namespace

bool RefusesGpus(absl::string_view version) {
  // "slurm-wlm 22.05.8", "slurm 22.05.8".
  version.remove_prefix(std::min(version.find_first_of("0123456789"), version.size()));
  for (absl::string_view bad : {"22.05.5", "22.05.6", "22.05.7", "22.05.8"}) {
    if (absl::StartsWith(version, bad) &&
        (version.size() == bad.size() ||
         !absl::ascii_isdigit(static_cast<unsigned char>(version[bad.size()])))) {
      return true;
    }
  }
  return false;
}

SubmitResult ClassifyRefusal(absl::string_view text, absl::string_view version) {
  SubmitResult result;
  result.text = Utf8Head(PrintableLine(absl::StripAsciiWhitespace(text)), kMaxRefusalBytes);
  const std::string small = absl::AsciiStrToLower(text);
  for (const Refusal& refusal : kRefusals) {
    if (!absl::StrContains(small, refusal.text)) continue;
    result.kind = refusal.kind;
    result.remedy = std::string(refusal.remedy);
    if (refusal.text == "requested node configuration is not available" && RefusesGpus(version)) {
      result.remedy = absl::StrCat(result.remedy, " ", kRefusesGpusText);
    }
    return result;
  }
  return result;
}

PendingReason ClassifyPending(absl::string_view reason) {
  using PendingKind = PendingReason::Kind;
  // "ReqNodeNotAvail, UnavailableNodes:n1" -> "ReqNodeNotAvail".
  const absl::string_view word = reason.substr(0, reason.find(','));
  static constexpr absl::string_view kHeld[] = {"JobHeldAdmin", "JobHeldUser", "JobHoldMaxRequeue"};
  if (IsIn(word, kHeld) || absl::StrContains(reason, "requeued held") ||
      absl::StrContains(reason, "held state")) {
    return {PendingKind::kHeld,
            "`scontrol release JOB` lets it start, `scancel JOB` gives it up; its nodes may be "
            "broken."};
  }
  if (word == "PartitionTimeLimit") {
    return {PendingKind::kNeverStarts, "Lower --walltime to the partition's MaxTime."};
  }
  static constexpr absl::string_view kSize[] = {"PartitionConfig", "PartitionNodeLimit",
                                                "BadConstraints"};
  if (IsIn(word, kSize)) {
    return {PendingKind::kNeverStarts,
            "No node of the partition has what is asked for: compare --gpus, --cpus, --memory and "
            "--constraint with `scontrol show nodes`."};
  }
  static constexpr absl::string_view kRights[] = {
      "InvalidAccount", "InvalidQOS",          "AccountNotAllowed",
      "QOSNotAllowed",  "AssociationDisabled", "DependencyNeverSatisfied"};
  if (IsIn(word, kRights)) {
    return {PendingKind::kNeverStarts, "Look at --account, --qos and --sbatch-flag."};
  }
  if ((absl::StartsWith(word, "QOS") || absl::StartsWith(word, "Assoc"))) {
    if (absl::StrContains(word, "PerJob") || absl::StartsWith(word, "QOSMin")) {
      return {PendingKind::kNeverStarts,
              "One allocation is larger or longer than the account or the QOS permits: lower "
              "--gpus, --cpus, --memory or --walltime."};
    }
    return {PendingKind::kLimit,
            "A limit of the account or the QOS is reached; it starts when there is room again."};
  }
  static constexpr absl::string_view kAway[] = {"ReqNodeNotAvail", "PartitionDown",
                                                "PartitionInactive"};
  if (IsIn(word, kAway)) {
    return {PendingKind::kLimit, "Its nodes or its partition are away; `sinfo -R` says why."};
  }
  return {};
}

bool MayBeRequeued(absl::string_view state) {
  return state == "PREEMPTED" || state == "NODE_FAIL" || state == "BOOT_FAIL" || state == "REVOKED";
}

Ending ClassifyEnding(const Job& job, bool registered, int64_t ran_s) {
  using Verdict = Ending::Verdict;
  if (job.state == "COMPLETED") {
    if (registered || ran_s >= kQuickSeconds) return {"completed", Verdict::kGood, ""};
    return Failure("completed", "its worker ended before it registered; its output says why");
  }
  if (job.state == "TIMEOUT") {
    if (registered) return {"timeout", Verdict::kGood, ""};
    return Failure("timeout", "its worker never reached the coordinator in the whole walltime");
  }
  if (job.state == "OUT_OF_MEMORY") {
    return Failure("out_of_memory", "ran out of memory; raise --memory or lower --slots");
  }
  if (job.state == "FAILED" || job.state == "LAUNCH_FAILED" || job.state == "RECONFIG_FAIL") {
    if (registered && ran_s >= kQuickSeconds) {
      return {"failed", Verdict::kNeutral, absl::StrCat("its worker ", ExitText(job))};
    }
    return Failure("failed", absl::StrCat("its worker ", ExitText(job)));
  }
  // PREEMPTED, NODE_FAIL, BOOT_FAIL, CANCELLED, DEADLINE, REVOKED.
  return {absl::AsciiStrToLower(job.state), Verdict::kNeutral, ""};
}

}  // namespace coppice::pools

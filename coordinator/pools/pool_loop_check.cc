// Looks at a pool before it works: its partition, its script, and a node of it.
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "coordinator/pools/pool_loop.h"
#include "coordinator/pools/script.h"
#include "coordinator/pools/slurm_reasons.h"
#include "coordinator/pools/slurm_text.h"

namespace coppice::pools {
namespace {

bool RequeuesPreempted(const Capabilities& capabilities) {
  return absl::StrContains(capabilities.preempt_mode, "REQUEUE");
}

bool Preempts(const Capabilities& capabilities) {
  return !capabilities.preempt_mode.empty() && capabilities.preempt_mode != "OFF";
}

void AddSubmitAnswer(const SubmitResult& result, PoolCheck* check) {
  const std::string text = absl::StrCat("sbatch --test-only: ", result.text,
                                        result.remedy.empty() ? "" : ". ", result.remedy);
  switch (result.kind) {
    case SubmitResult::Kind::kAccepted:
      check->facts.push_back(text);
      return;
    case SubmitResult::Kind::kPermanent:
      check->errors.push_back(text);
      return;
    case SubmitResult::Kind::kLimit:
    case SubmitResult::Kind::kTransient:
    case SubmitResult::Kind::kUnclear:
      check->warnings.push_back(text);
      return;
  }
}

}  // namespace

void JudgeCapabilities(const PoolSpec& spec, const Capabilities& capabilities, PoolCheck* check) {
  const std::string partition =
      absl::StrCat("partition ", spec.partition.empty() ? "(default)" : spec.partition);
  check->facts.push_back(absl::StrCat(
      partition, ": at most ",
      capabilities.max_time_s == 0 ? "any time" : FormatSlurmDuration(capabilities.max_time_s),
      ", GraceTime ", capabilities.grace_time_s, " s, KillWait ", capabilities.kill_wait_s,
      " s, PreemptMode ", capabilities.preempt_mode, ", ", capabilities.nodes, " nodes, ",
      capabilities.cpus, " CPUs, Slurm ", capabilities.version));
  if (!capabilities.partition_up) {
    check->warnings.push_back(absl::StrCat(partition, " is not up; allocations will wait"));
  }
  if (capabilities.max_time_s > 0 && spec.max_walltime_s > capabilities.max_time_s) {
    check->errors.push_back(
        absl::StrCat("--walltime is longer than the partition's MaxTime, ",
                     FormatSlurmDuration(capabilities.max_time_s),
                     ": Slurm would take such a job and never start it. Lower --walltime to it."));
  }
  if (spec.gpus > 0 && RefusesGpus(capabilities.version)) {
    check->warnings.push_back(
        absl::StrCat(kRefusesGpusText, " This is Slurm ", capabilities.version, "."));
  }
  // The script has one task, without srun: it hears nothing when the grace of the partition begins.
  if (Preempts(capabilities) && capabilities.kill_wait_s < spec.grace_s) {
    check->warnings.push_back(absl::StrCat(
        "--grace ", spec.grace_s, "s is longer than KillWait, ", capabilities.kill_wait_s,
        " s: a preempted worker may be killed before its checkpoint is written. Lower --grace."));
  }
  if (Preempts(capabilities) && !RequeuesPreempted(capabilities)) {
    check->facts.push_back(absl::StrCat(
        "PreemptMode ", capabilities.preempt_mode,
        " does not requeue: the script does it itself; where it cannot, the pool submits anew"));
  }
  if (capabilities.nodes > 0 && spec.cpus > capabilities.cpus / capabilities.nodes) {
    check->warnings.push_back(
        absl::StrCat("--cpus ", spec.cpus, " is more than the partition's nodes have on average, ",
                     capabilities.cpus / capabilities.nodes,
                     ": if none has so many, Slurm takes the job and never starts it"));
  }
}

void Autoscaler::Loop::Check(const PoolSpec& spec, std::optional<absl::Duration> probe_wait,
                             std::function<void(absl::StatusOr<PoolCheck>)> done) {
  absl::Status good = CheckPoolSpec(spec);
  if (good.ok() && probe_wait.has_value()) good = MayProbe(spec.name);
  if (!good.ok()) return done(good);
  const PoolRow* const there = tracker_.FindPool(spec.name);
  const std::string key =
      AllocationKey(options_.store_id, spec.name, there == nullptr ? 1 : there->next_sequence);
  PoolCheck check;
  check.script = WriteScript(spec, key, spec.max_walltime_s,
                             there == nullptr ? std::vector<ExcludedNode>() : there->excluded);
  batch_.GetCapabilities(
      spec.partition, spec.cluster,
      Bind([this, spec, key, check, probe_wait,
            done](absl::StatusOr<Capabilities> capabilities) mutable {
        if (capabilities.ok()) {
          JudgeCapabilities(spec, *capabilities, &check);
        } else {
          check.errors.push_back(std::string(capabilities.status().message()));
        }
        batch_.TestSubmit({key, check.script, spec.log_dir, spec.cluster},
                          Bind([this, spec, check, probe_wait, done](SubmitResult result) mutable {
                            AddSubmitAnswer(result, &check);
                            if (!probe_wait.has_value() || !check.errors.empty()) {
                              return done(std::move(check));
                            }
                            StartProbe(spec, *probe_wait, std::move(check), done);
                          }));
      }));
}

absl::Status Autoscaler::Loop::MayProbe(const std::string& pool) const {
  if (options_.dry_run) {
    return absl::FailedPreconditionError(
        "the coordinator runs with --pools-dry-run and submits nothing, no probe either");
  }
  if (StoppedByFile()) {
    return absl::FailedPreconditionError(absl::StrCat(
        options_.stop_file, " is there: nothing is submitted, no probe either; remove it first"));
  }
  for (const auto& entry : probes_) {
    if (entry.second->pool() != pool) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("a probe of ", pool, " runs already; wait for its end"));
  }
  return absl::OkStatus();
}

void Autoscaler::Loop::StartProbe(const PoolSpec& spec, absl::Duration wait, PoolCheck check,
                                  std::function<void(absl::StatusOr<PoolCheck>)> done) {
  // Another one may have begun while Slurm was asked.
  if (absl::Status may = MayProbe(spec.name); !may.ok()) return done(may);
  ProbeContext context;
  context.clock = &clock_;
  context.batch = &batch_;
  context.store_id = options_.store_id;
  context.checkpoint_root = options_.checkpoint_root;
  context.post = [weak = weak_from_this()](std::function<void()> work) {
    if (const std::shared_ptr<Loop> loop = weak.lock()) loop->Post(std::move(work));
  };
  context.disk = [this](std::function<void()> work) { disk_.Add(std::move(work)); };
  const std::string key = ProbeKey(options_.store_id, spec.name);
  const auto finished = [this, key, check, done](std::vector<Finding> findings) mutable {
    check.findings = std::move(findings);
    probes_.erase(key);
    done(std::move(check));
  };
  const auto probe = std::make_shared<Probe>(std::move(context), spec, key, wait, finished);
  probes_[key] = probe;
  probe->Start();
}

void Autoscaler::Loop::TakeNodeReport(
    const NodeReport& report, const std::function<void(absl::StatusOr<NodeReportAnswer>)>& done) {
  const auto found = probes_.find(report.key);
  if (found == probes_.end()) {
    return done(absl::NotFoundError("no such probe runs; `coppice pool check --probe` starts one"));
  }
  found->second->TakeReport(report, done);
}

}  // namespace coppice::pools

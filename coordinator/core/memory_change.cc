#include "coordinator/core/memory_change.h"

#include <utility>

#include "coordinator/core/memory.h"

namespace coppice::core {
namespace {

// One function for each kind of change.
class Applier {
 public:
  explicit Applier(Memory* memory) : memory_(*memory) {}

  // ---- sweeps

  void operator()(SubmissionBegan change) {
    memory_.dispatcher.scheduler.SetPaused(change.sweep, true);
  }

  void operator()(JobsStored change) {
    memory_.dispatcher.scheduler.AddGroup(change.group);
    for (JobId job = change.first; job < change.end; ++job) {
      memory_.dispatcher.scheduler.Add(change.group.id, job, 0, absl::ZeroDuration());
    }
  }

  void operator()(SweepAdded change) {
    memory_.catalog.Add(change.sweep, change.groups);
    memory_.dispatcher.scheduler.SetPaused(change.sweep.id, change.sweep.paused);
    for (const GroupRow& group : change.groups) {
      memory_.dispatcher.scheduler.AddGroup(GroupOf(group, change.sweep.priority));
    }
  }

  void operator()(SweepExtended change) {
    memory_.catalog.Extend(change.sweep, change.groups);
    // Another priority concerns every group.
    for (const auto& group : memory_.catalog.GroupsOf(change.sweep.id)) {
      const GroupSpec& spec = group->spec;
      memory_.dispatcher.scheduler.SetGroup({group->id, change.sweep.id, change.sweep.priority,
                                             spec.work_per_step, spec.steps, spec.program_pack});
    }
  }

  void operator()(SubmissionTakenBack change) {
    for (const GroupId group : change.groups) memory_.dispatcher.scheduler.RemoveGroup(group);
    if (change.gone) memory_.dispatcher.scheduler.SetPaused(change.sweep, false);
  }

  void operator()(SweepDeleted change) {
    memory_.catalog.Remove(change.sweep);
    for (const GroupId group : change.groups) memory_.dispatcher.scheduler.RemoveGroup(group);
    memory_.dispatcher.scheduler.SetPaused(change.sweep, false);
    memory_.leases.Forget(change.sweep);
    memory_.metric_names.ForgetSweep(change.sweep);
  }

  void operator()(SweepPaused change) {
    memory_.catalog.SetPaused(change.sweep, change.paused);
    memory_.dispatcher.scheduler.SetPaused(change.sweep, change.paused);
  }

  // ---- jobs and leases

  void operator()(JobQueued change) {
    memory_.dispatcher.scheduler.Add(change.group, change.job, change.resume_step,
                                     change.eligible_at);
  }

  void operator()(JobUnqueued change) {
    memory_.dispatcher.scheduler.Remove(change.group, change.job, change.resume_step);
  }

  void operator()(LeaseBegan change) {
    LeaseEntry entry;
    entry.ref = change.lease;
    entry.sweep_id = change.sweep;
    entry.group_id = change.group;
    entry.worker = std::move(change.worker);
    entry.stored_step = change.stored_step;
    entry.work_per_step = change.work_per_step;
    entry.recovered = change.recovered;
    memory_.leases.Add(std::move(entry), change.at);
  }

  void operator()(LeaseEnded change) { memory_.leases.Remove(change.lease, change.at); }

  void operator()(StepStored change) { memory_.leases.SetStoredStep(change.lease, change.step); }

  void operator()(LeasesRenewed change) {
    for (const HeldLease& held : change.held) memory_.leases.Renew(held, change.worker, change.at);
  }

  void operator()(LeaseMissed change) { memory_.leases.Miss(change.lease); }

  void operator()(WaitRecalled change) { memory_.dispatcher.RecallWaiting(change.since_ms); }

  void operator()(PaceRecalled change) {
    memory_.leases.Recall(change.sweep, change.group, change.pace);
  }

  void operator()(GrantMade change) {
    Dispatcher& dispatcher = memory_.dispatcher;
    const auto jobs = static_cast<double>(change.jobs);
    dispatcher.width = dispatcher.width == 0 ? jobs : 0.875 * dispatcher.width + 0.125 * jobs;
    ++dispatcher.grants;
  }

  // ---- workers

  void operator()(WorkerPut change) { memory_.workers.Put(std::move(change.entry)); }

  void operator()(WorkerRowStored change) { memory_.workers.SetRow(change.row); }

  void operator()(WorkerTouched change) {
    memory_.workers.Touch(change.id, change.at, change.at_ms);
  }

  void operator()(WorkerBeat change) {
    const auto late_by = memory_.workers.Seen(change.id, change.at, change.at_ms, change.state,
                                              memory_.options.heartbeat_interval);
    if (late_by.has_value()) memory_.dispatcher.admission.NoteHeartbeat(*late_by);
  }

  void operator()(WorkerDeparted change) {
    memory_.workers.SetRow(change.row);
    memory_.dispatcher.waiters.End(change.row.info.name);
  }

  void operator()(WorkersForgotten change) {
    memory_.forget_at = change.next_look;
    for (const std::string& name : change.names) {
      memory_.workers.Remove(name);
      memory_.dispatcher.health.Forget(name);
    }
  }

  // ---- worker health

  void operator()(WorkerProcessChanged change) {
    memory_.dispatcher.health.OnNewProcess(change.worker, change.same_settings);
  }

  void operator()(WorkerFailed change) {
    memory_.dispatcher.health.OnFailure(change.worker, change.failure, change.at, change.at_ms);
  }

  void operator()(WorkerProgressed change) {
    memory_.dispatcher.health.OnProgress(change.worker, change.at_ms);
  }

  void operator()(PackTooWide change) {
    memory_.dispatcher.health.OnTooWide(change.worker, change.group, change.width);
  }

  void operator()(PackMeasured change) {
    memory_.dispatcher.health.OnMeasured(change.worker, change.group, change.width);
  }

  // ---- other

  void operator()(SweepMetricNames change) {
    memory_.metric_names.AddToSweep(change.sweep, change.names, change.count);
  }

  void operator()(JobMetricNames change) {
    memory_.metric_names.SetOfJob(change.job, std::move(change.names));
  }

  void operator()(WaiterAdded change) { memory_.dispatcher.waiters.Add(std::move(change.waiter)); }

  void operator()(StoreTroubled change) { memory_.store_trouble = std::move(change.reason); }

  void operator()(StoreOpened change) {
    memory_.store_id = std::move(change.store_id);
    memory_.attempt_floor = change.attempt_floor;
    memory_.cut_short = std::move(change.cut_short);
    memory_.continuing = std::move(change.continuing);
    memory_.half_deleted = std::move(change.half_deleted);
  }

  void operator()(SpentSweepsCounted change) {
    memory_.dispatcher.spent.clear();
    for (const auto& [pool, sweeps] : change.spent) {
      memory_.dispatcher.spent[pool].insert(sweeps.begin(), sweeps.end());
    }
  }

 private:
  Memory& memory_;
};

}  // namespace

Scheduler::Group GroupOf(const GroupRow& group, int32_t priority) {
  return {group.id,         group.sweep_id,         priority, group.spec.work_per_step,
          group.spec.steps, group.spec.program_pack};
}

JobQueued QueuedJob(const JobRow& job, absl::Duration eligible_at) {
  return {job.group_id, job.id, job.checkpoint_step, eligible_at};
}

JobUnqueued UnqueuedJob(const JobRow& job) { return {job.group_id, job.id, job.checkpoint_step}; }

LeaseBegan LeaseOf(const JobRow& job, double work_per_step, bool recovered, absl::Duration at) {
  LeaseBegan began;
  began.lease = {job.id, job.attempt};
  began.sweep = job.sweep_id;
  began.group = job.group_id;
  began.worker = job.worker;
  began.stored_step = job.step;
  began.work_per_step = work_per_step;
  began.recovered = recovered;
  began.at = at;
  return began;
}

void Apply(Memory& memory, MemoryChange change) { std::visit(Applier(&memory), std::move(change)); }

}  // namespace coppice::core

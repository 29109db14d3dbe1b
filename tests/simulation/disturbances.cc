// Injects the disturbances at their scheduled times.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "coordinator/service/convert.h"
#include "coordinator/service/spec_reader.h"
#include "tests/simulation/simulation.h"

namespace coppice::simulation {

void Simulation::Disturb(Disturbance what) {
  if (healed_) return;
  switch (what) {
    case Disturbance::kPartition:
      return CutOff();
    case Disturbance::kCoordinatorCrash:
    case Disturbance::kCoordinatorRestart:
    case Disturbance::kWorkerCrash:
    case Disturbance::kWorkerStop:
    case Disturbance::kMachineLost:
      return StopOrKill(what);
    case Disturbance::kDatabaseFull:
      return FillDatabaseDisk();
    case Disturbance::kWorkerDiskFull:
      return FillWorkerDisk();
    case Disturbance::kTwins:
      if (Seat* seat = AnyLiveSeat(); seat != nullptr) StartTwin(seat);
      return;
    case Disturbance::kRequeue:
      if (Seat* seat = AnyLiveSeat(); seat != nullptr) Requeue(seat);
      return;
    case Disturbance::kDamageCheckpoint:
      return DamageCheckpoint(20);
    case Disturbance::kWallClockJump:
    case Disturbance::kMonotonicJump:
      return MoveClock(what == Disturbance::kWallClockJump);
    case Disturbance::kPause:
    case Disturbance::kCancel:
    case Disturbance::kRetry:
    case Disturbance::kDrain:
      if (coordinators_.back()->alive()) Command(what);
      return;
  }
}

void Simulation::CutOff() {
  Random& random = world_.random();
  const Seat& seat = random.Pick(seats_);
  const bool past_lease = random.Chance(0.5);
  const absl::Duration time =
      past_lease ? random.Time(schedule_.lease + absl::Seconds(5), schedule_.lease * 3)
                 : random.Time(absl::Seconds(1), schedule_.lease / 2);
  world_.Did(past_lease ? Fault::kPartitionPastLease : Fault::kPartition);
  world_.Trace(seat.machine->name, " is cut off for ", absl::FormatDuration(time));
  network_.Cut(seat.machine->name, time);
}

void Simulation::StopOrKill(Disturbance what) {
  CoordinatorProcess& coordinator = *coordinators_.back();
  if (what == Disturbance::kCoordinatorCrash || what == Disturbance::kCoordinatorRestart) {
    if (!coordinator.alive()) return;
    const bool crash = what == Disturbance::kCoordinatorCrash;
    world_.Did(crash ? Fault::kCoordinatorCrash : Fault::kCoordinatorRestart);
    world_.Trace("the coordinator is ", crash ? "killed" : "stopped");
    return crash ? coordinator.Crash() : coordinator.Stop();
  }
  Seat* seat = AnyLiveSeat();
  if (seat == nullptr) return;
  world_.Trace(seat->process->setup().process,
               what == Disturbance::kWorkerStop ? " is stopped" : " is killed");
  if (what == Disturbance::kWorkerStop) {
    world_.Did(Fault::kWorkerStopped);
    return seat->process->Stop("SIGTERM");
  }
  seat->process->Kill();
  world_.Did(what == Disturbance::kWorkerCrash ? Fault::kWorkerCrash : Fault::kMachineLost);
  if (what == Disturbance::kMachineLost) seat->machine->Wipe();
}

void Simulation::FillDatabaseDisk() {
  CoordinatorProcess* coordinator = coordinators_.back().get();
  if (!coordinator->alive()) return;
  world_.Trace("the coordinator's disk is full");
  coordinator->store().set_full(true);
  coordinator->service().set_disk_full(true);
  world_.At(world_.random().Time(absl::Seconds(2), absl::Seconds(25)), [this, coordinator] {
    world_.Trace("the coordinator's disk has space");
    coordinator->store().set_full(false);
    coordinator->service().set_disk_full(false);
  });
}

void Simulation::FillWorkerDisk() {
  Machine* machine = world_.random().Pick(seats_).machine;
  world_.Trace("the disk of ", machine->name, " is full");
  machine->disk_full = true;
  world_.At(world_.random().Time(absl::Seconds(5), absl::Seconds(30)),
            [machine] { machine->disk_full = false; });
}

// Damages the file of a job that does not run, so that no trainer uses it: flips a byte, truncates
// it, or removes it.
void Simulation::DamageCheckpoint(int tries) {
  if (healed_ || tries == 0) return;
  for (const core::JobRow& job : invariants_->Jobs()) {
    if (job.state != core::JobState::kPending) continue;
    const auto listed = invariants_->Checkpoints(job.id);
    if (listed.empty() || ledger_.IsDamaged(listed.front().path)) continue;
    const std::string file = JoinPath(root_, listed.front().path);
    const uint64_t size = FileSize(file).value_or(0);
    if (size == 0) continue;
    world_.Did(Fault::kCheckpointDamaged);
    world_.Trace("the checkpoint of job ", job.id, " at step ", listed.front().step, " is damaged");
    ledger_.Damaged(listed.front().path);
    const uint64_t at = world_.random().Uniform(0, size - 1);
    switch (world_.random().Uniform(0, 2)) {
      case 0: {
        std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
        stream.seekg(static_cast<std::streamoff>(at));
        const char flipped = static_cast<char>(stream.peek() ^ 1);
        stream.seekp(static_cast<std::streamoff>(at));
        stream.put(flipped);
        return;
      }
      case 1:
        return std::filesystem::resize_file(file, at);
      default:
        return RemoveFile(file).IgnoreError();
    }
  }
  world_.At(absl::Seconds(2), [this, tries] { DamageCheckpoint(tries - 1); });
}

void Simulation::MoveClock(bool wall) {
  Random& random = world_.random();
  testing::FakeClock* clock = nullptr;
  if (random.Chance(0.5)) {
    if (coordinators_.back()->alive()) clock = &coordinators_.back()->clock();
  } else if (Seat* seat = AnyLiveSeat(); seat != nullptr) {
    clock = &seat->process->clock();
  }
  if (clock == nullptr) return;
  world_.Did(wall ? Fault::kWallClockJump : Fault::kMonotonicJump);
  world_.Trace("a clock jumps");
  if (wall) {
    clock->JumpWallTime(random.Time(absl::ZeroDuration(), absl::Hours(4)) - absl::Hours(2));
  } else {
    clock->Advance(random.Time(absl::Seconds(1), schedule_.lease * 2));
  }
}

void Simulation::Command(Disturbance what) {
  switch (what) {
    case Disturbance::kPause:
      return Pause();
    case Disturbance::kCancel:
      return CancelOne();
    case Disturbance::kRetry:
      return RetryAll();
    default:
      return Drain();
  }
}

void Simulation::Pause() {
  world_.Did(Fault::kPaused);
  world_.Trace("the sweep is paused");
  SetPaused(true);
  world_.At(world_.random().Time(absl::Seconds(2), absl::Seconds(30)), [this] {
    if (!healed_ && coordinators_.back()->alive()) SetPaused(false);
  });
}

// A change acknowledged to a client must be stored, unless another command followed meanwhile.
void Simulation::SetPaused(bool paused) {
  coordinators_.back()->core().SetPaused(
      {}, schedule_.spec.name(), paused,
      [this, paused, number = ++last_command_](const auto& result) {
        if (!result.ok() || number != last_command_ || invariants_->IsPaused() == paused) return;
        world_.Violation("a pause, or its end, was answered with OK and is not stored");
      });
}

void Simulation::CancelOne() {
  world_.Did(Fault::kCancelled);
  core::JobFilter filter;
  filter.job_ids = {world_.random().Pick(invariants_->Jobs()).id};
  world_.Trace("job ", filter.job_ids[0], " is to be cancelled");
  coordinators_.back()->core().CancelJobs(
      {}, filter, [this, job = filter.job_ids[0]](const absl::StatusOr<uint64_t>& changed) {
        if (changed.value_or(0) > 0) ledger_.Cancelled(job);
      });
}

void Simulation::RetryAll() {
  world_.Did(Fault::kRetried);
  world_.Trace("all that has failed is to be retried");
  core::JobFilter filter;
  filter.sweep = schedule_.spec.name();
  coordinators_.back()->core().RetryJobs(
      {}, filter,
      [this](const absl::StatusOr<uint64_t>& changed) { ledger_.Retried(changed.value_or(0)); });
}

void Simulation::Extend(size_t extension) {
  if (healed_ || extended_ > extension) return;
  world_.At(absl::Seconds(5), [this, extension] { Extend(extension); });
  if (!coordinators_.back()->alive()) return;
  const auto spec = service::SweepSpecFromProto(schedule_.extensions[extension].second);
  if (!spec.ok()) return world_.Violation(spec.status().ToString());
  world_.Trace("the sweep is to be extended");
  coordinators_.back()->core().ExtendSweep(
      {}, {*spec, false, std::make_shared<const service::SpecReader>()},
      [this, extension](const absl::StatusOr<core::ExtendResult>& result) {
        if (!result.ok()) return;
        if (result->changed) world_.Did(Fault::kExtended);
        extended_ = std::max(extended_, extension + 1);
        invariants_->Extended(extension);
      });
}

void Simulation::Drain() {
  const std::string worker = world_.random().Pick(seats_).worker;
  const bool preempt = world_.random().Chance(0.5);
  world_.Did(preempt ? Fault::kDrainedPreempting : Fault::kDrained);
  world_.Trace(worker, " is drained");
  SetDraining(worker, true, preempt);
  world_.At(world_.random().Time(absl::Seconds(3), absl::Seconds(30)), [this, worker] {
    if (!healed_ && coordinators_.back()->alive()) SetDraining(worker, false, false);
  });
}

void Simulation::SetDraining(const std::string& worker, bool draining, bool preempt) {
  coordinators_.back()->core().DrainWorker(
      {}, worker, preempt, !draining,
      [this, worker, draining, number = ++last_command_](const auto& result) {
        if (!result.ok() || number != last_command_) return;
        if (invariants_->IsDraining(worker) == draining) return;
        world_.Violation("a drain, or its end, was answered with OK and is not stored");
      });
}

}  // namespace coppice::simulation

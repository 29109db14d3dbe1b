// The processes of a schedule, and the work of a service manager: ended processes are restarted
// after a while.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "tests/simulation/simulation.h"
#include "worker/daemon/exit_code.h"

namespace coppice::simulation {

void Simulation::StartCoordinator() {
  world_.Trace("the coordinator starts");
  coordinators_.push_back(std::make_unique<CoordinatorProcess>(CoordinatorProcess::Setup{
      &world_, &network_, store_.get(), &schedule_, options_.bug, root_,
      [this](const Changes& changes) {
        invariants_->OnCommitted(changes);
        if (options_.bug != PlantedBug::kCurrentCheckpointRemoved) return;
        for (const core::JobId job : changes.dropped) {
          for (const core::Checkpoint& current : invariants_->Checkpoints(job)) {
            RemoveFile(JoinPath(root_, current.path)).IgnoreError();
            break;
          }
        }
      }}));
  if (healed_) coordinators_.back()->store().Heal();
}

Machine* Simulation::AddMachine(const WorkerShape& shape) {
  const std::string name = absl::StrCat("m", machines_.size() + 1);
  machines_.push_back(std::make_unique<Machine>(
      name, shape, absl::StrCat(options_.folder, "/", name),
      TrainerHost{&world_, &ledger_, &schedule_, &healed_, nullptr,
                  [this](const LeaseKey& key) { return !invariants_->IsCurrent(key); }}));
  return machines_.back().get();
}

void Simulation::AddWorker(const WorkerShape& shape) {
  Seat seat;
  seat.worker = absl::StrCat("w", seats_.size() + 1);
  seat.machine = AddMachine(shape);
  seat.process = StartWorker(seat.worker, seat.machine);
  seats_.push_back(seat);
}

WorkerProcess* Simulation::StartWorker(const std::string& worker, Machine* machine) {
  const std::string process = absl::StrCat(worker, "#", processes_.size() + 1);
  world_.Trace(process, " starts on ", machine->name);
  processes_.push_back(std::make_unique<WorkerProcess>(WorkerProcess::Setup{
      &world_, &network_, &ledger_, machine, worker, process, options_.bug, root_,
      store_->store_id(), [this, index = processes_.size()](int code, const std::string& message) {
        OnExit(index, code, message);
      }}));
  return processes_.back().get();
}

std::vector<WorkerProcess*> Simulation::LiveProcessesOf(const std::string& worker) {
  std::vector<WorkerProcess*> live;
  for (const auto& process : processes_) {
    if (process->alive() && process->setup().worker == worker) live.push_back(process.get());
  }
  return live;
}

void Simulation::OnExit(size_t index, int code, const std::string& message) {
  const WorkerProcess& process = *processes_[index];
  const std::string& worker = process.setup().worker;
  world_.Trace(process.setup().process, " exits with ", code);
  if (code == worker::kExitSuperseded) {
    world_.Did(Fault::kSuperseded);
    const auto others = std::count_if(processes_.begin(), processes_.end(), [&](const auto& other) {
      return other->setup().worker == worker;
    });
    if (others < 2) world_.Violation(process.setup().process + " is superseded by nobody");
    // A service manager does not restart such a process, but the seat continues with the other one.
    const std::vector<WorkerProcess*> live = LiveProcessesOf(worker);
    for (Seat& seat : seats_) {
      if (seat.process != &process || live.empty()) continue;
      seat.process = live.back();
      seat.machine = live.back()->setup().machine;
    }
    return;
  }
  if (code != worker::kExitStopped)
    world_.Violation(absl::StrCat(process.setup().process, " gives up: ", message));
}

void Simulation::Supervise() {
  const auto pause = [this] {
    return healed_ ? absl::Seconds(1)
                   : world_.random().Time(absl::Milliseconds(500), world_.random().Chance(0.2)
                                                                       ? schedule_.lease * 2
                                                                       : absl::Seconds(8));
  };
  if (!coordinators_.back()->alive() && !std::exchange(coordinator_starting_, true)) {
    world_.At(pause(), [this] {
      coordinator_starting_ = false;
      StartCoordinator();
    });
  }
  for (size_t i = 0; i < seats_.size() && !closing_; ++i) {
    if (seats_[i].process->alive() || std::exchange(seats_[i].starting, true)) continue;
    world_.At(pause(), [this, i] {
      Seat& seat = seats_[i];
      seat.starting = false;
      if (!closing_ && !seat.process->alive()) {
        seat.process = StartWorker(seat.worker, seat.machine);
      }
    });
  }
  world_.At(absl::Milliseconds(500), [this] { Supervise(); });
}

Simulation::Seat* Simulation::AnyLiveSeat() {
  Seat* seat = &seats_[world_.random().Next() % seats_.size()];
  return seat->process->alive() ? seat : nullptr;
}

// Starts a second process under the same name on another machine: a copied start script, or a
// replaced machine that comes back. In half of the cases one of the two is soon killed; in the
// others both must settle it.
void Simulation::StartTwin(Seat* seat) {
  world_.Did(Fault::kTwins);
  Random& random = world_.random();
  if (random.Chance(0.4)) {
    network_.Cut(seat->machine->name, random.Time(absl::Seconds(5), schedule_.lease * 3));
  }
  Machine* machine = AddMachine(seat->machine->shape);
  WorkerProcess* twin = StartWorker(seat->worker, machine);
  const size_t index = static_cast<size_t>(seat - seats_.data());
  if (random.Chance(0.5)) return;
  world_.At(random.Time(absl::Milliseconds(100), absl::Seconds(40)), [this, index, twin, machine] {
    Seat& now = seats_[index];
    if (!twin->alive() || now.process == twin) return;
    const bool twin_stays = world_.random().Chance(0.5) && twin->alive();
    WorkerProcess* leaver = twin_stays ? now.process : twin;
    world_.Trace(leaver->setup().process, " leaves the name to its twin");
    if (twin_stays) {
      now.process = twin;
      now.machine = machine;
    }
    leaver->Kill();
  });
}

// The batch system starts the job again on another machine, because it has lost sight of the first
// one, where the process before goes on, cut off. That machine may come back, and several may.
void Simulation::Requeue(Seat* seat) {
  world_.Did(Fault::kRequeued);
  Random& random = world_.random();
  const std::string& machine = seat->machine->name;
  world_.Trace(seat->worker, " is requeued; its process before is on ", machine);
  network_.Cut(machine, random.Time(absl::Seconds(5), schedule_.lease * 4));
  seat->machine = AddMachine(seat->machine->shape);
  seat->process = StartWorker(seat->worker, seat->machine);
}

}  // namespace coppice::simulation

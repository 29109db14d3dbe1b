#include "tests/simulation/simulation.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "coordinator/core/lifecycle.h"
#include "coordinator/service/convert.h"
#include "coordinator/service/spec_reader.h"
#include "coordinator/store/sqlite_store.h"

namespace coppice::simulation {
namespace {

// Without faults, a sweep of a few jobs of about a minute each ends within this time.
constexpr absl::Duration kStarved = absl::Minutes(40);
// Without faults, the older of two workers of one name ends within this time.
constexpr absl::Duration kSettled = absl::Minutes(10);
// Without faults, some job makes progress within this time: a lease ends, and a trainer starts.
constexpr absl::Duration kStandstill = absl::Minutes(3);
constexpr absl::Duration kCheckEvery = absl::Seconds(20);

}  // namespace

Simulation::Simulation(const Options& options)
    : options_(options),
      world_(options.seed, options.trace),
      schedule_(DrawSchedule(world_.random(), options.family)),
      root_(options.folder + "/checkpoints"),
      network_(&world_, schedule_.rates),
      ledger_(&world_) {
  std::filesystem::create_directories(root_);
  auto store = store::OpenSqliteStore({":memory:", 1, 0});
  if (!store.ok()) {
    world_.Violation(store.status().ToString());
    return;
  }
  store_ = *std::move(store);
  WriteFileAtomically(JoinPath(root_, worker::kStoreIdFile), store_->store_id()).IgnoreError();
  invariants_ = std::make_unique<Invariants>(&world_, &ledger_, store_.get(), &schedule_, root_);
}

Simulation::~Simulation() {
  // Agents go first: they hold the targets of a coordinator's answers.
  for (const auto& process : processes_) process->Kill();
  std::error_code ignored;
  std::filesystem::remove_all(options_.folder, ignored);
}

Outcome Simulation::Run() {
  StartCoordinator();
  Supervise();
  Submit();
  for (const WorkerShape& shape : schedule_.workers) AddWorker(shape);
  for (const auto& [at, what] : schedule_.disturbances) {
    world_.At(at, [this, what = what] { Disturb(what); });
  }
  for (size_t i = 0; i < schedule_.extensions.size(); ++i) {
    world_.At(schedule_.extensions[i].first, [this, i] { Extend(i); });
  }
  while (world_.now() < schedule_.faults_end && !livelocked_) {
    world_.RunFor(kCheckEvery);
    CheckNow();
  }
  if (!livelocked_) Finish();
  Outcome outcome;
  outcome.violations = world_.violations();
  outcome.trace_digest = world_.digest();
  outcome.state_digest = invariants_->StateDigest();
  outcome.events = world_.events();
  outcome.duration = world_.now();
  outcome.faults = world_.faults();
  outcome.most_live = most_live_;
  for (const core::JobRow& job : invariants_->Jobs()) {
    ++outcome.jobs;
    outcome.attempts += job.attempts;
  }
  return outcome;
}

void Simulation::CheckNow() {
  invariants_->CheckJobs();
  CheckNames();
}

// No livelock: a process takes the name at most once. After it has lost the name, it ends.
void Simulation::CheckNames() {
  for (const Seat& seat : seats_) {
    const auto started =
        std::count_if(processes_.begin(), processes_.end(),
                      [&](const auto& process) { return process->setup().worker == seat.worker; });
    most_live_ = std::max(most_live_, LiveProcessesOf(seat.worker).size());
    const uint64_t taken = invariants_->TimesTaken(seat.worker);
    if (taken <= static_cast<uint64_t>(started)) continue;
    world_.Violation(absl::StrCat("livelock: ", started, " processes took the name ", seat.worker,
                                  " ", taken, " times"));
    livelocked_ = true;
  }
}

template <typename T>
void Simulation::Insist(
    const std::function<void(core::Coordinator&, core::Coordinator::Done<T>)>& command) {
  for (int tries = 0; tries < 200; ++tries) {
    const auto answer = std::make_shared<std::optional<absl::Status>>();
    if (coordinators_.back()->alive()) {
      command(coordinators_.back()->core(),
              [answer](const absl::StatusOr<T>& result) { *answer = result.status(); });
    }
    world_.RunFor(absl::Milliseconds(500));
    if (answer->has_value() && ((*answer)->ok() || absl::IsNotFound(**answer))) return;
  }
  world_.Violation("a client's command is never answered with OK");
}

void Simulation::Submit() {
  const auto spec = service::SweepSpecFromProto(schedule_.spec);
  if (!spec.ok()) return world_.Violation(spec.status().ToString());
  world_.Trace("submitting ", schedule_.spec.ShortDebugString());
  Insist<core::SubmitResult>(
      [&](core::Coordinator& core, auto done) { core.SubmitSweep({}, *spec, 0, std::move(done)); });
}

void Simulation::Finish() {
  world_.Trace("from now on nothing goes wrong");
  healed_ = true;
  network_.Heal();
  coordinators_.back()->store().Heal();
  if (coordinators_.back()->alive()) coordinators_.back()->service().set_disk_full(false);
  for (const auto& machine : machines_) machine->disk_full = false;
  ++last_command_;
  Insist<core::SweepSummary>([&](core::Coordinator& core, auto done) {
    core.SetPaused({}, schedule_.spec.name(), false, std::move(done));
  });
  for (const Seat& seat : seats_) {
    Insist<core::Worker>([&](core::Coordinator& core, auto done) {
      core.DrainWorker({}, seat.worker, false, /*undo=*/true, std::move(done));
    });
  }
  if (!WaitForJobs()) {
    if (!livelocked_) invariants_->CheckEnd();
    return;
  }
  ExtendToTheEnd();
  RetryWhatFailed();
  StopWorkers();
  invariants_->CheckEnd();
}

bool Simulation::WaitForJobs() {
  const absl::Duration until = world_.now() + kStarved;
  absl::Duration got_on = world_.now();
  std::vector<std::pair<core::JobState, uint32_t>> before;
  for (;;) {
    CheckNames();
    if (livelocked_) return false;
    const std::vector<core::JobRow> jobs = invariants_->Jobs();
    std::vector<std::pair<core::JobState, uint32_t>> now;
    now.reserve(jobs.size());
    for (const core::JobRow& job : jobs) now.emplace_back(job.state, job.step);
    if (now != before) got_on = world_.now();
    before = std::move(now);
    // A trainer that failed waits longer before its next attempt, and here none fails.
    if (options_.family == Family::kFencing && world_.now() - got_on > kStandstill) {
      world_.Violation("livelock: no job makes progress although nothing goes wrong any more");
      return false;
    }
    if (std::none_of(jobs.begin(), jobs.end(),
                     [](const auto& job) { return core::IsOpen(job.state); })) {
      return !jobs.empty();
    }
    if (world_.now() > until) return false;
    world_.RunFor(absl::Seconds(5));
  }
}

void Simulation::ExtendToTheEnd() {
  if (schedule_.extensions.empty()) return;
  const auto spec = service::SweepSpecFromProto(schedule_.last_spec());
  if (!spec.ok()) return world_.Violation(spec.status().ToString());
  world_.Trace("the last extension");
  Insist<core::ExtendResult>([&](core::Coordinator& core, auto done) {
    core.ExtendSweep({}, {*spec, false, std::make_shared<const service::SpecReader>()},
                     std::move(done));
  });
  extended_ = schedule_.extensions.size();
  invariants_->CheckJobs();
  WaitForJobs();
}

// Retries jobs that failed for good or were cancelled. Everything that can succeed then succeeds.
void Simulation::RetryWhatFailed() {
  const auto needs_retry = [this](const core::JobRow& job) {
    return job.state != core::JobState::kSucceeded &&
           !schedule_.diverges.contains(invariants_->PointOf(job));
  };
  core::JobFilter filter;
  for (const core::JobRow& job : invariants_->Jobs()) {
    if (needs_retry(job)) filter.job_ids.push_back(job.id);
  }
  if (filter.job_ids.empty()) return;
  invariants_->CheckEnd();
  world_.Trace("retrying ", filter.job_ids.size(), " jobs");
  Insist<uint64_t>(
      [&](core::Coordinator& core, auto done) { core.RetryJobs({}, filter, std::move(done)); });
  WaitForJobs();
  for (const core::JobRow& job : invariants_->Jobs()) {
    if (!needs_retry(job)) continue;
    world_.Violation(absl::StrCat("job ", job.id, " does not succeed where nothing goes wrong: ",
                                  core::StateName(job.state), ", ", job.reason));
  }
}

void Simulation::StopWorkers() {
  // Workers killed last also return and send their spooled records, and of two processes of one
  // name only one is left.
  const auto settled = [this](const Seat& seat) {
    return seat.process->alive() && LiveProcessesOf(seat.worker).size() == 1;
  };
  const absl::Duration until = world_.now() + kSettled;
  while (!std::all_of(seats_.begin(), seats_.end(), settled)) {
    if (world_.now() > until) {
      world_.Violation("a name has no worker for good, or more than one");
      break;
    }
    world_.RunFor(absl::Seconds(1));
  }
  closing_ = true;
  world_.RunFor(schedule_.heartbeat * 2 + absl::Seconds(10));
  for (const Seat& seat : seats_) {
    if (seat.process->alive()) seat.process->Stop("the sweep is done");
  }
  world_.RunFor(absl::Seconds(40));
  for (const Seat& seat : seats_) {
    if (seat.process->alive()) {
      world_.Violation(absl::StrCat(seat.worker, " does not stop"));
    }
    const auto left = ListDirectory(seat.machine->spool());
    for (const std::string& file : *left) {
      world_.Violation(absl::StrCat(seat.worker, " leaves ", file, " in its spool"));
    }
  }
}

}  // namespace coppice::simulation

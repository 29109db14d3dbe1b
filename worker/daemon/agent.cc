#include "worker/daemon/agent.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/build_info.h"
#include "common/base/files.h"
#include "common/base/ids.h"
#include "common/base/logging.h"
#include "common/rpc/channel.h"
#include "worker/daemon/coordinator_client.h"
#include "worker/daemon/exit_code.h"
#include "worker/daemon/grant_check.h"
#include "worker/daemon/scratch.h"
#include "worker/daemon/state_folder.h"

namespace coppice::worker {
namespace {

constexpr absl::Duration kPollWait = absl::Seconds(20);
// A stopping worker that has only records left waits this long for a coordinator that is away.
constexpr absl::Duration kLinger = absl::Seconds(2);
// An exit waits this long for the answer to its goodbye, and never beyond the grace period.
constexpr absl::Duration kGoodbyeWait = absl::Seconds(1);
// Slots that were without work for this long, or for the idle limit, are shown to people.
constexpr absl::Duration kShownIdle = absl::Minutes(1);
// Leave gives the coordinator this long to take leases back.
constexpr absl::Duration kLeaveWait = absl::Seconds(1);
// Part of the walltime kept after the grace period, for a machine that is slow to end.
constexpr absl::Duration kWalltimeReserve = absl::Seconds(10);

absl::Duration PollWait(const AgentConfig& config) {
  return std::clamp(config.idle_exit, absl::Milliseconds(100), kPollWait);
}

void SetAllocation(const AgentConfig& config, v1::Allocation* message) {
  const Allocation& allocation = config.allocation;
  message->set_system(allocation.system);
  message->set_cluster(allocation.cluster);
  message->set_job_id(allocation.job_id);
  message->set_raw_job_id(allocation.raw_job_id);
  message->set_partition(allocation.partition);
  message->set_node(allocation.node);
  message->set_proc_id(allocation.proc_id);
  message->set_restarts(allocation.restarts);
  message->set_pool_key(allocation.pool_key);
  for (const std::string& gpu : config.slot_devices) message->add_gpus(gpu);
}

v1::RegisterRequest SelfOf(const AgentConfig& config, Clock* clock) {
  v1::RegisterRequest self;
  self.set_name(config.name);
  self.set_instance(RandomId());
  self.set_host(config.host);
  self.set_version(VersionText());
  self.set_protocol(rpc::kProtocolVersion);
  self.set_slots(config.slots);
  self.set_pack_width(config.pack_width);
  self.set_device(config.device);
  self.set_shared_checkpoints(config.pack.checkpoints.shared);
  SetAllocation(config, self.mutable_allocation());
  if (config.walltime < absl::InfiniteDuration()) {
    self.set_ends_ms(clock->NowMillis() + absl::ToInt64Milliseconds(config.walltime));
  }
  return self;
}

}  // namespace

Agent::Slot::Slot(const Environment* environment)
    : empty(absl::Milliseconds(200), absl::Seconds(5), environment->entropy()),
      trouble(absl::Seconds(5), absl::Seconds(60), environment->entropy()),
      pause(environment) {}

Agent::Agent(const Environment& environment, AgentConfig config, OnExit on_exit)
    : environment_(environment),
      config_(std::move(config)),
      on_exit_(std::move(on_exit)),
      callbacks_(environment_.main),
      session_(&environment_, SelfOf(config_, environment_.clock),
               Session::Hooks{
                   [this] { return Held(); }, [this] { return TakesNoWork(); },
                   [this] { return IdleSlots(); },
                   [this](const v1::RegisterResponse& response) { return OnRegistered(response); },
                   [this](const v1::HeartbeatResponse& response) { OnHeartbeat(response); },
                   [this](const absl::Status& status) { OnFatal(status); },
                   [this](const v1::Superseded& newer) { OnSuperseded(newer); }}),
      pump_(&environment_, &session_),
      walltime_(config_.walltime),
      exit_timer_(&environment_),
      linger_timer_(&environment_),
      last_lease_timer_(&environment_),
      walltime_timer_(&environment_),
      watch_timer_(&environment_) {
  if (config_.measure) widths_ = std::make_unique<PackWidths>(&environment_, *config_.measure);
  for (uint32_t i = 0; i < config_.slots; ++i) {
    slots_.push_back(std::make_unique<Slot>(&environment_));
    slots_.back()->index = i;
  }
}

Agent::~Agent() = default;

void Agent::Start() {
  environment_.main(callbacks_.Bind([this] {
    Recover();
    if (exited_) return;
    WatchWalltime();
    session_.Start();
    for (const auto& slot : slots_) slot->idle_since = environment_.clock->Monotonic();
    WatchCoordinator();
    PollAll();
  }));
}

void Agent::WatchWalltime() {
  last_lease_timer_.Stop();
  walltime_timer_.Stop();
  if (walltime_ == absl::InfiniteDuration()) return;
  spdlog::info("the walltime ends in {}; no new work in its last {}",
               absl::FormatDuration(absl::Trunc(walltime_, absl::Seconds(1))),
               absl::FormatDuration(config_.walltime_margin));
  const auto before_end = [this](absl::Duration part) {
    return std::max(absl::ZeroDuration(), walltime_ - part);
  };
  last_lease_timer_.Start(before_end(config_.walltime_margin), [this] { OnLastLease(); });
  walltime_timer_.Start(before_end(config_.grace + kWalltimeReserve),
                        [this] { BeginStop(v1::EXIT_WALLTIME, "its walltime ends"); });
}

void Agent::MoveEnd(absl::Time end) {
  if (stopping_ || exited_) return;
  walltime_ = end - environment_.clock->Now();
  session_.SetEnd(end);
  WatchWalltime();
  if (!closing_ || walltime_ <= config_.walltime_margin) return;
  closing_ = false;
  spdlog::info("taking work again: the walltime ends later than it did");
  PollAll();
}

void Agent::OnLastLease() {
  if (closing_) return;
  closing_ = true;
  spdlog::info("too little of the walltime is left for new work; what runs goes on for {}",
               absl::FormatDuration(absl::Trunc(
                   std::max(absl::ZeroDuration(), std::min(walltime_, config_.walltime_margin) -
                                                      config_.grace - kWalltimeReserve),
                   absl::Seconds(1))));
  environment_.coordinator->CancelAcquires();
  MaybeExit();
}

void Agent::Recover() {
  const auto spool = Directory::Open(config_.spool_dir);
  const auto files = spool.ok() ? spool->List() : spool.status();
  if (!files.ok()) return Fail(kExitFailed, std::string(files.status().message()));
  for (const Directory::Entry& file : *files) {
    if (file.is_file() && IsSpoolFileName(file.name)) {
      RecoverFile(*spool, file.name);
    } else {
      spdlog::warn("{} is no spool of a worker; it stays where it is",
                   JoinPath(config_.spool_dir, file.name));
    }
  }
  if (config_.pack.checkpoints.shared) return;
  std::set<std::string> wanted;
  for (const auto& [key, entry] : entries_) {
    wanted.insert(entry.reporter->lease().checkpoint_dir());
  }
  const auto scratch = ScratchOf(config_.pack.checkpoints);
  const absl::Status cleaned = scratch.ok() ? CleanScratch(**scratch, wanted) : scratch.status();
  if (!cleaned.ok()) spdlog::warn("{}", cleaned.ToString());
}

void Agent::RecoverFile(const Directory& spool, const std::string& name) {
  const std::string file = JoinPath(config_.spool_dir, name);
  auto contents = Spool::Read(file);
  if (!contents.ok()) {
    // A crash before the first sync leaves an empty file. In either case nothing can be saved.
    spdlog::warn("{}; removing it", contents.status().ToString());
    const absl::Status removed = spool.RemoveFile(name);
    if (!removed.ok()) spdlog::warn("{}", removed.ToString());
    return;
  }
  const LeaseKey key = KeyOf(contents->lease.lease());
  if (contents->corrupt) {
    spdlog::warn(
        "{} is damaged: records of {} behind the first {} are lost, and will be computed again",
        file, ToString(key), contents->records.size());
  }
  if (contents->earlier_version) {
    spdlog::warn(
        "{} is of an earlier version: the records of {} are lost, and will be computed again", file,
        ToString(key));
  }
  spdlog::info("{}: {} records are left from an earlier run of this worker", ToString(key),
               contents->records.size());
  auto reporter = std::make_shared<AttemptReporter>(&environment_, &session_, Place(),
                                                    std::move(*contents), HooksFor(key));
  reporter->ReleaseLost("its worker ended without a word and was started again");
  entries_[key] = {reporter, nullptr};
  AddToPump(reporter);
}

absl::Status Agent::OnRegistered(const v1::RegisterResponse& response) {
  if (!config_.pack.checkpoints.shared || response.store_id() == config_.store_id) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "the checkpoint folder ", config_.pack.checkpoints.root, " belongs to store ",
      config_.store_id, ", the coordinator's is ", response.store_id(),
      "; give --checkpoint-dir the coordinator's folder as this machine sees it, or leave the flag "
      "out to send checkpoints over the network"));
}

void Agent::OnHeartbeat(const v1::HeartbeatResponse& response) {
  for (const v1::Directive& directive : response.directives()) Obey(directive);
  SetDraining(response.drain());
  MaybeExit();
}

void Agent::Obey(const v1::Directive& directive) {
  const auto it = entries_.find(KeyOf(directive.lease()));
  if (it == entries_.end()) return;
  const Entry entry = it->second;
  if (directive.action() == v1::Directive::PREEMPT) {
    const std::string reason =
        directive.reason().empty() ? "the coordinator asked for it" : directive.reason();
    if (entry.run != nullptr && !entry.reporter->ended()) entry.run->Preempt(reason);
  } else if (directive.action() == v1::Directive::STOP && !entry.reporter->finished()) {
    spdlog::info("{}: stopped by the coordinator: {}", ToString(it->first), directive.reason());
    entry.reporter->Abandon();
    if (entry.run != nullptr) entry.run->OnLeaseEnded(it->first);
  }
}

void Agent::SetDraining(bool draining) {
  if (draining == draining_) return;
  draining_ = draining;
  spdlog::info(draining ? "draining: taking no new work" : "taking work again");
  if (draining) {
    environment_.coordinator->CancelAcquires();
  } else {
    PollAll();
  }
}

void Agent::PollAll() {
  for (const auto& slot : slots_) Poll(slot.get());
}

void Agent::Poll(Slot* slot) {
  if (TakesNoWork() || exited_ || slot->run || slot->polling || slot->pause.running()) return;
  if (slot->width_release && entries_.count(*slot->width_release) > 0) return;
  slot->width_release.reset();
  slot->polling = true;
  if (slot->request_id.empty()) slot->request_id = RandomId();
  const absl::Duration asked = environment_.clock->Monotonic();
  v1::AcquireLeasesRequest request;
  request.set_request_id(slot->request_id);
  request.set_slot(slot->index);
  request.set_pack_width(config_.pack_width);
  request.set_measures(widths_ != nullptr);
  request.set_wait_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(PollWait(config_))));
  auto response = std::make_shared<std::optional<v1::AcquireLeasesResponse>>();
  const auto make = [this, request, response](const std::string& worker_id,
                                              std::function<void(absl::Status)> answer) mutable {
    if (TakesNoWork()) return answer(absl::OkStatus());
    request.set_worker_id(worker_id);
    environment_.coordinator->AcquireLeases(
        request, [response, answer](absl::StatusOr<v1::AcquireLeasesResponse> result) {
          if (result.ok()) *response = std::move(*result);
          answer(result.status());
        });
  };
  session_.Call("asking for work", make, [this, slot, asked, response](absl::Status status) {
    OnPolled(slot, asked, std::move(status), *response);
  });
}

void Agent::OnPolled(Slot* slot, absl::Duration asked, absl::Status status,
                     const std::optional<v1::AcquireLeasesResponse>& response) {
  slot->polling = false;
  if (exited_) return;  // what was granted is given back by the goodbye
  if (!status.ok()) {
    spdlog::error("the coordinator gives slot {} no work: {}", slot->index, status.ToString());
    slot->request_id.clear();
    slot->pause.Start(slot->trouble.Next(), [this, slot] { Poll(slot); });
    return;
  }
  // The request was cancelled because no more work is taken. After a drain, the next poll may still
  // return what this request was granted.
  if (!response) return Poll(slot);
  slot->request_id.clear();
  if (response->leases().empty()) {
    return OnNoWork(slot, environment_.clock->Monotonic() - asked);
  }
  slot->empty.Reset();
  Begin(slot, *response);
}

void Agent::OnNoWork(Slot* slot, absl::Duration waited) {
  const absl::Duration idle =
      environment_.clock->Monotonic() - std::max(busy_until_, session_.connected_since());
  if (Idle() && session_.connected() && idle >= IdleLimit()) {
    const std::string reason = absl::StrCat("no work for ", absl::FormatDuration(IdleLimit()));
    spdlog::info("{}", reason);
    return Exit(v1::EXIT_IDLE, reason);
  }
  // A coordinator that does not wait must not be asked in a tight loop.
  if (waited < PollWait(config_) / 2) {
    slot->pause.Start(slot->empty.Next(), [this, slot] { Poll(slot); });
  } else {
    slot->empty.Reset();
    Poll(slot);
  }
}

void Agent::Begin(Slot* slot, const v1::AcquireLeasesResponse& grant) {
  const absl::StatusOr<GrantedRun> run = CheckGrant(grant, config_.pack_width);
  std::vector<std::shared_ptr<AttemptReporter>> reporters;
  for (const v1::Lease& lease : grant.leases()) {
    const LeaseKey key = KeyOf(lease.lease());
    if (entries_.count(key) > 0) continue;
    // A new attempt of a job ends every older one.
    for (auto it = entries_.lower_bound({key.job, 0}); it != entries_.end(); ++it) {
      if (it->first.job != key.job) break;
      it->second.reporter->Abandon();
      if (it->second.run != nullptr) it->second.run->OnLeaseEnded(it->first);
    }
    auto reporter =
        std::make_shared<AttemptReporter>(&environment_, &session_, Place(), lease, HooksFor(key));
    reporter->set_slot(slot->index);
    entries_[key] = {reporter, nullptr};
    AddToPump(reporter);
    reporters.push_back(std::move(reporter));
  }
  if (!run.ok() || TakesNoWork() || reporters.empty()) {
    if (!run.ok()) spdlog::error("{}", run.status().ToString());
    for (const auto& reporter : reporters) {
      if (run.ok()) {
        reporter->ReleaseUntrained("the worker takes no more work");
      } else {
        reporter->ReleasePreempted(run.status().message());
      }
    }
    slot->pause.Start(slot->trouble.Next(), [this, slot] { Poll(slot); });
    return;
  }
  const LeaseKey first = reporters.front()->key();
  const std::string name =
      absl::StrCat("job-", first.job, "-attempt-", first.attempt,
                   reporters.size() > 1 ? absl::StrCat("-and-", reporters.size() - 1) : "");
  granted_ = true;
  spdlog::info("slot {}: {}: {} of depth {}, {} seeds", slot->index, name, run->task, run->depth,
               reporters.size());
  slot->run = std::make_unique<PackRun>(
      &environment_, &session_, &config_.pack, name, *run, reporters,
      PackRun::Packing{widths_.get(), grant.unmeasured(), GpuOf(*slot)},
      [this, slot](PackRun::Result result) {
        environment_.main(callbacks_.Bind([this, slot, result] { OnPackFinished(slot, result); }));
      });
  for (const auto& reporter : reporters) entries_[reporter->key()].run = slot->run.get();
  slot->run->Start();
}

void Agent::OnPackFinished(Slot* slot, PackRun::Result result) {
  for (auto& [key, entry] : entries_) {
    if (entry.run == slot->run.get()) entry.run = nullptr;
  }
  slot->run.reset();
  slot->width_release = result.width_release;
  busy_until_ = environment_.clock->Monotonic();
  slot->idle_since = busy_until_;
  MaybeExit();
  if (result.troubled) {
    slot->pause.Start(slot->trouble.Next(), [this, slot] { Poll(slot); });
  } else {
    slot->trouble.Reset();
    Poll(slot);
  }
}

std::string Agent::GpuOf(const Slot& slot) const {
  return slot.index < config_.slot_devices.size() ? config_.slot_devices[slot.index] : "";
}

AttemptReporter::Hooks Agent::HooksFor(const LeaseKey& key) {
  const auto lease_ended = [this, key] {
    const auto it = entries_.find(key);
    if (it != entries_.end() && it->second.run != nullptr) it->second.run->OnLeaseEnded(key);
  };
  AttemptReporter::Hooks hooks;
  hooks.on_sendable = [this] { pump_.Pump(); };
  hooks.on_lost = [key, lease_ended](const std::string& reason) {
    spdlog::warn("{}: the lease is lost: {}", ToString(key), reason);
    lease_ended();
  };
  hooks.on_refused = [lease_ended](const std::string&) { lease_ended(); };
  // Posted, not called inline: the caller is the reporter itself.
  hooks.on_finished = callbacks_.Bind([this, key] { Forget(key); });
  return hooks;
}

void Agent::AddToPump(const std::shared_ptr<AttemptReporter>& reporter) {
  pump_.Add({reporter, reporter->outbox()});
}

Outbox::Place Agent::Place() const { return {config_.spool_dir, config_.pack.checkpoints}; }

std::vector<v1::HeldLease> Agent::Held() const {
  std::vector<v1::HeldLease> held;
  for (const auto& [key, entry] : entries_) {
    if (entry.reporter->finished()) continue;
    held.push_back(entry.reporter->Held());
    if (entry.run != nullptr && !entry.reporter->ended()) entry.run->DescribePace(&held.back());
  }
  return held;
}

void Agent::Forget(const LeaseKey& key) {
  const auto it = entries_.find(key);
  if (it == entries_.end() || !it->second.reporter->finished()) return;
  entries_.erase(it);
  pump_.Remove(key);
  busy_until_ = environment_.clock->Monotonic();
  MaybeExit();
  for (const auto& slot : slots_) {
    if (slot->width_release == key) Poll(slot.get());
  }
}

bool Agent::Idle() const {
  return entries_.empty() && std::all_of(slots_.begin(), slots_.end(),
                                         [](const auto& slot) { return slot->run == nullptr; });
}

uint32_t Agent::IdleSlots() const {
  const absl::Duration long_ago =
      environment_.clock->Monotonic() - std::min(kShownIdle, config_.idle_exit);
  return static_cast<uint32_t>(std::count_if(slots_.begin(), slots_.end(), [&](const auto& slot) {
    return slot->run == nullptr && slot->idle_since <= long_ago;
  }));
}

absl::Duration Agent::IdleLimit() const {
  return granted_ ? config_.idle_exit : std::min(config_.idle_exit, config_.first_idle_exit);
}

void Agent::WatchCoordinator() {
  if (config_.coordinator_timeout == absl::InfiniteDuration() || stopping_ || exited_) return;
  const absl::Duration idle_limit = std::min(config_.coordinator_timeout, IdleLimit());
  const absl::Duration limit = Idle() ? idle_limit : config_.coordinator_timeout;
  const absl::Duration away = session_.away();
  if (away < limit) {
    const absl::Duration next = away > absl::ZeroDuration() ? limit - away : idle_limit;
    watch_timer_.Start(std::min(next, idle_limit), [this] { WatchCoordinator(); });
    return;
  }
  fatal_code_ = kExitCoordinatorTimeout;
  fatal_ = absl::StrCat("the coordinator could not be reached for ",
                        absl::FormatDuration(absl::Trunc(away, absl::Seconds(1))),
                        Idle() ? ", and there is nothing to do" : "",
                        "; start the worker again when it can");
  spdlog::error("{}", fatal_);
  BeginStop(v1::EXIT_STOPPED, "the coordinator cannot be reached");
}

void Agent::Stop(const std::string& reason) {
  const v1::ExitReason why =
      config_.allocation.system == "slurm" ? v1::EXIT_PREEMPTED : v1::EXIT_STOPPED;
  environment_.main(callbacks_.Bind([this, why, reason] { BeginStop(why, reason); }));
}

void Agent::Leave(const std::string& reason) {
  environment_.main(callbacks_.Bind([this, reason] { BeginLeave(reason); }));
}

void Agent::SetEnd(absl::Time end) {
  environment_.main(callbacks_.Bind([this, end] { MoveEnd(end); }));
}

void Agent::OnFatal(const absl::Status& status) {
  fatal_ = environment_.coordinator->Explain(status);
  fatal_code_ = kExitRefused;
  if (entries_.empty()) return Exit(v1::EXIT_FAILED, fatal_);
  spdlog::error("{}", fatal_);
  BeginStop(v1::EXIT_FAILED, "the coordinator does not take this worker");
}

void Agent::OnSuperseded(const v1::Superseded& newer) {
  // A requested stop goes on as requested, only sooner.
  if (!stopping_ && !exited_) {
    fatal_code_ = kExitSuperseded;
    fatal_ = absl::StrCat(
        "a newer worker has the name ", config_.name, ": it registered from ",
        newer.host().empty() ? "an unknown host" : newer.host(), " at ",
        absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::FromUnixMillis(newer.since_ms()),
                         absl::UTCTimeZone()),
        ". This one ends, and its jobs go on elsewhere. If both are wanted, start each with a "
        "--name of its own");
    spdlog::error("{}", fatal_);
  }
  for (auto& [key, entry] : entries_) entry.reporter->Abandon();
  BeginStop(v1::EXIT_STOPPED, "a newer worker has its name");
  for (const auto& slot : slots_) {
    if (slot->run) slot->run->Kill("a newer worker has its name");
  }
  exit_timer_.Start(kLeaveWait, [this] { Exit(stop_why_, stop_reason_); });
  MaybeExit();
}

void Agent::BeginStop(v1::ExitReason why, const std::string& reason) {
  if (stopping_ || exited_) return;
  stopping_ = true;
  stop_why_ = why;
  stop_reason_ = reason;
  stop_deadline_ = environment_.clock->Monotonic() + config_.grace;
  spdlog::info("stopping ({}): checkpointing and releasing {} leases", reason, entries_.size());
  environment_.coordinator->CancelAcquires();
  for (const auto& slot : slots_) {
    slot->pause.Stop();
    if (slot->run) {
      slot->run->Preempt(absl::StrCat("the worker stops: ", reason),
                         TrainerStop::TimeWithin(config_.grace));
    }
  }
  exit_timer_.Start(config_.grace, [this] { Exit(stop_why_, stop_reason_); });
  MaybeExit();
}

void Agent::BeginLeave(const std::string& reason) {
  if (exited_) return;
  if (fatal_.empty()) {
    fatal_ =
        absl::StrCat(reason, " again: left at once; what was not checkpointed is computed anew");
  }
  BeginStop(v1::EXIT_FAILED, reason);
  stop_why_ = v1::EXIT_FAILED;
  for (const auto& slot : slots_) {
    if (slot->run) slot->run->Kill("the worker leaves at once");
  }
  exit_timer_.Start(kLeaveWait, [this] { Exit(v1::EXIT_FAILED, stop_reason_); });
}

void Agent::MaybeExit() {
  if (exited_) return;
  if (!stopping_ && !closing_ && !(draining_ && config_.exit_when_drained)) return;
  const bool running = std::any_of(slots_.begin(), slots_.end(),
                                   [](const auto& slot) { return slot->run != nullptr; });
  if (running) return;
  if (entries_.empty()) {
    if (stopping_) return Exit(stop_why_, stop_reason_);
    if (closing_) return Exit(v1::EXIT_WALLTIME, "too little of its walltime is left for work");
    return Exit(v1::EXIT_DRAINED, "");
  }
  if (stopping_ && !linger_timer_.running()) {
    linger_timer_.Start(kLinger, [this] {
      if (!session_.connected()) return Exit(stop_why_, stop_reason_);
      MaybeExit();
    });
  }
}

void Agent::Fail(int code, const std::string& message) {
  fatal_code_ = code;
  fatal_ = message;
  Exit(v1::EXIT_FAILED, message);
}

void Agent::Exit(v1::ExitReason why, const std::string& reason) {
  if (exited_) return;
  exited_ = true;
  watch_timer_.Stop();
  if (!entries_.empty()) {
    spdlog::warn("records of {} leases wait in {} for the next start of this worker",
                 entries_.size(), config_.spool_dir);
  }
  const absl::Duration left = stop_deadline_ - environment_.clock->Monotonic();
  if (left <= absl::ZeroDuration()) return Finish(why);
  environment_.coordinator->CancelAcquires();
  exit_timer_.Start(std::min(left, kGoodbyeWait), [this, why] { Finish(why); });
  if (!session_.Leave(why, reason, [this, why] { Finish(why); })) Finish(why);
}

void Agent::Finish(v1::ExitReason why) {
  if (finished_) return;
  finished_ = true;
  exit_timer_.Stop();
  on_exit_(fatal_.empty() ? ExitCodeOf(why) : fatal_code_, fatal_);
}

}  // namespace coppice::worker

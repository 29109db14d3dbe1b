#include "worker/daemon/agent.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/base/logging.h"
#include "worker/daemon/coordinator_client.h"
#include "worker/daemon/exit_code.h"
#include "worker/daemon/grant_check.h"
#include "worker/daemon/left_spools.h"
#include "worker/daemon/scratch.h"

namespace coppice::worker {
namespace {

constexpr absl::Duration kPollWait = absl::Seconds(20);
// Slots that were without work for this long, or for the idle limit, are shown to people.
constexpr absl::Duration kShownIdle = absl::Minutes(1);

absl::Duration PollWait(const AgentConfig& config) {
  return std::clamp(config.idle_exit, absl::Milliseconds(100), kPollWait);
}

}  // namespace

Agent::Slot::Slot(const Environment* environment)
    : empty(absl::Milliseconds(200), absl::Seconds(5), environment->entropy()),
      trouble(absl::Seconds(5), absl::Seconds(60), environment->entropy()),
      pause(environment) {}

Agent::Agent(const Environment& environment, AgentConfig config, OnExit on_exit)
    : environment_(environment),
      config_(std::move(config)),
      callbacks_(environment_.main),
      session_(&environment_, RegistrationOf(config_, environment_.clock),
               Session::Hooks{
                   [this] { return Held(); }, [this] { return !end_.takes_work(); },
                   [this] { return IdleSlots(); },
                   [this](const v1::RegisterResponse& response) { return OnRegistered(response); },
                   [this](const v1::HeartbeatResponse& response) { OnHeartbeat(response); },
                   [this](const absl::Status& status) { end_.OnFatal(status); },
                   [this](const v1::Superseded& newer) { end_.OnSuperseded(newer); }}),
      pump_(&environment_, &session_),
      end_(&environment_, &config_, &session_, EndHooks(std::move(on_exit))) {
  if (config_.measure) widths_ = std::make_unique<PackWidths>(&environment_, *config_.measure);
  for (uint32_t i = 0; i < config_.slots; ++i) {
    slots_.push_back(std::make_unique<Slot>(&environment_));
    slots_.back()->index = i;
  }
}

Agent::~Agent() = default;

WorkerEnd::Hooks Agent::EndHooks(OnExit on_exit) {
  WorkerEnd::Hooks hooks;
  hooks.leases = [this] { return entries_.size(); };
  hooks.running = [this] { return Running(); };
  hooks.preempt = [this](const std::string& reason, absl::Duration within) {
    for (const auto& slot : slots_) {
      slot->pause.Stop();
      if (slot->run) slot->run->Preempt(reason, within);
    }
  };
  hooks.kill = [this](const std::string& reason) {
    for (const auto& slot : slots_) {
      if (slot->run) slot->run->Kill(reason);
    }
  };
  hooks.abandon = [this] {
    for (const auto& [key, entry] : entries_) entry.reporter->Abandon();
  };
  hooks.ask_for_work = [this] { PollAll(); };
  hooks.on_exit = std::move(on_exit);
  return hooks;
}

void Agent::Start() {
  environment_.main(callbacks_.Bind([this] {
    Recover();
    if (end_.exited()) return;
    session_.Start();
    for (const auto& slot : slots_) slot->idle_since = environment_.clock->Monotonic();
    end_.Start();
    PollAll();
  }));
}

void Agent::Recover() {
  auto spools = ReadLeftSpools(config_.spool_dir);
  if (!spools.ok()) return end_.Fail(kExitFailed, std::string(spools.status().message()));
  for (SpoolContents& spool : *spools) {
    const LeaseKey key = KeyOf(spool.lease.lease());
    auto reporter = std::make_shared<AttemptReporter>(&environment_, &session_, Place(),
                                                      std::move(spool), HooksFor(key));
    reporter->ReleaseLost("its worker ended without a word and was started again");
    entries_[key] = {reporter, nullptr};
    AddToPump(reporter);
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
  end_.SetDraining(response.drain());
  end_.MaybeExit();
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

void Agent::PollAll() {
  for (const auto& slot : slots_) Poll(slot.get());
}

void Agent::Poll(Slot* slot) {
  if (!end_.takes_work() || end_.exited() || slot->run || slot->polling || slot->pause.running())
    return;
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
    if (!end_.takes_work()) return answer(absl::OkStatus());
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
  if (end_.exited()) return;  // what was granted is given back by the goodbye
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
  if (end_.ExitIfIdle()) return;
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
  std::string untrained;
  if (!end_.takes_work()) untrained = "the worker takes no more work";
  if (run.ok() && run->program && !config_.programs) {
    untrained = "this worker runs no programs of the users' own (--programs)";
  }
  if (!run.ok() || !untrained.empty() || reporters.empty()) {
    if (!run.ok()) spdlog::error("{}", run.status().ToString());
    for (const auto& reporter : reporters) {
      if (run.ok()) {
        reporter->ReleaseUntrained(untrained);
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
  end_.OnGranted();
  spdlog::info("slot {}: {}: {}, {} seeds", slot->index, name, run->Describe(), reporters.size());
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
  slot->idle_since = environment_.clock->Monotonic();
  end_.OnWorkEnded();
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
  end_.OnWorkEnded();
  for (const auto& slot : slots_) {
    if (slot->width_release == key) Poll(slot.get());
  }
}

bool Agent::Running() const {
  return std::any_of(slots_.begin(), slots_.end(),
                     [](const auto& slot) { return slot->run != nullptr; });
}

uint32_t Agent::IdleSlots() const {
  const absl::Duration long_ago =
      environment_.clock->Monotonic() - std::min(kShownIdle, config_.idle_exit);
  return static_cast<uint32_t>(std::count_if(slots_.begin(), slots_.end(), [&](const auto& slot) {
    return slot->run == nullptr && slot->idle_since <= long_ago;
  }));
}

void Agent::Stop(const std::string& reason) {
  environment_.main(callbacks_.Bind([this, reason] { end_.Stop(reason); }));
}

void Agent::Leave(const std::string& reason) {
  environment_.main(callbacks_.Bind([this, reason] { end_.Leave(reason); }));
}

void Agent::SetEnd(absl::Time end) {
  environment_.main(callbacks_.Bind([this, end] { end_.MoveEnd(end); }));
}

}  // namespace coppice::worker

#include "coordinator/pools/autoscaler.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/pools/pool_loop.h"

namespace coppice::pools {
namespace {

absl::Status ShutDown() { return absl::UnavailableError("the pools are shut down"); }

}  // namespace

Autoscaler::Autoscaler(AutoscalerOptions options, Clock* clock, BatchSystem* batch,
                       PoolRecords* records, DemandSource demand)
    : loop_(std::make_shared<Loop>(std::move(options), clock, batch, records, std::move(demand))) {}

Autoscaler::~Autoscaler() { Shutdown(); }

void Autoscaler::Start() {
  loop_->Post([loop = loop_.get()] { loop->Load(); });
}

void Autoscaler::Shutdown() { loop_->Shutdown(); }

void Autoscaler::Nudge() {
  loop_->Post([loop = loop_.get()] { loop->Nudge(); });
}

void Autoscaler::NoteRegistered(std::string key) {
  loop_->Post([loop = loop_.get(), key = std::move(key)] { loop->NoteRegistered(key); });
}

void Autoscaler::AddPool(PoolSpec spec, Done done) {
  const bool posted = loop_->Post([loop = loop_.get(), spec, done] {
    if (absl::Status good = CheckPoolSpec(spec); !good.ok()) return done(good);
    const PoolRow* const there = loop->tracker().FindPool(spec.name);
    if (there != nullptr && !there->removed) {
      return done(absl::AlreadyExistsError(absl::StrCat(
          "there is a pool ", spec.name, "; remove it first, or choose another name")));
    }
    if (there == nullptr && loop->tracker().pools().size() >= kMaxPools) {
      return done(absl::FailedPreconditionError(absl::StrCat(
          "there are ", kMaxPools, " pools, removed ones included; that is the limit")));
    }
    const auto change = [spec](PoolRow* row) {
      PoolRow fresh;
      fresh.spec = spec;
      fresh.next_sequence = row->next_sequence;
      fresh.sweep_use = row->sweep_use;
      fresh.use_counted_ms = row->use_counted_ms;
      *row = std::move(fresh);
      return absl::OkStatus();
    };
    loop->ChangePool(spec.name, true, change, done);
  });
  if (!posted) done(ShutDown());
}

void Autoscaler::UpdatePool(PoolSpec spec, Done done) {
  const bool posted = loop_->Post([loop = loop_.get(), spec, done] {
    if (absl::Status good = CheckPoolSpec(spec); !good.ok()) return done(good);
    const auto change = [spec](PoolRow* row) {
      row->spec = spec;
      return absl::OkStatus();
    };
    loop->ChangePool(spec.name, false, change, done);
  });
  if (!posted) done(ShutDown());
}

void Autoscaler::SetMode(std::string pool, PoolMode mode, Done done) {
  const bool posted = loop_->Post([loop = loop_.get(), pool, mode, done] {
    if (mode == PoolMode::kStopped) {
      return done(absl::InvalidArgumentError("a pool is paused or drained, not stopped"));
    }
    const auto change = [mode](PoolRow* row) {
      row->mode = mode;
      row->why.clear();
      if (mode == PoolMode::kRunning) {
        row->failures = 0;
        row->backoff_until_ms = 0;
        row->last_error.clear();
        row->excluded.clear();
      }
      return absl::OkStatus();
    };
    loop->ChangePool(pool, false, change, done);
  });
  if (!posted) done(ShutDown());
}

void Autoscaler::Scale(std::string pool, std::optional<uint32_t> target, Done done) {
  const bool posted = loop_->Post([loop = loop_.get(), pool, target, done] {
    const auto change = [target](PoolRow* row) {
      row->spec.has_target = target.has_value();
      row->spec.target = target.value_or(0);
      return CheckPoolSpec(row->spec);
    };
    loop->ChangePool(pool, false, change, done);
  });
  if (!posted) done(ShutDown());
}

void Autoscaler::RemovePool(std::string pool, bool cancel, Done done) {
  const bool posted = loop_->Post([loop = loop_.get(), pool, cancel, done] {
    if (!cancel && loop->tracker().HasAlive(pool)) {
      return done(absl::FailedPreconditionError(absl::StrCat(
          "pool ", pool, " has allocations: `coppice pool drain ", pool,
          "` lets them end; or remove it with --cancel, which cancels the queued ones")));
    }
    const auto change = [](PoolRow* row) {
      row->removed = true;
      row->mode = PoolMode::kDraining;
      return absl::OkStatus();
    };
    loop->ChangePool(pool, false, change, done);
  });
  if (!posted) done(ShutDown());
}

void Autoscaler::Check(PoolSpec spec, std::optional<absl::Duration> probe_wait,
                       std::function<void(absl::StatusOr<PoolCheck>)> done) {
  const bool posted = loop_->Post(
      [loop = loop_.get(), spec, probe_wait, done] { loop->Check(spec, probe_wait, done); });
  if (!posted) done(ShutDown());
}

void Autoscaler::TakeNodeReport(NodeReport report,
                                std::function<void(absl::StatusOr<NodeReportAnswer>)> done) {
  const bool posted =
      loop_->Post([loop = loop_.get(), report, done] { loop->TakeNodeReport(report, done); });
  if (!posted) done(ShutDown());
}

void Autoscaler::Status(std::function<void(absl::StatusOr<AutoscalerStatus>)> done) {
  const bool posted = loop_->Post([loop = loop_.get(), done] {
    if (!loop->loaded()) return done(absl::UnavailableError("the pools are not loaded yet"));
    done(loop->MakeStatus());
  });
  if (!posted) done(ShutDown());
}

void Autoscaler::RunCommands(CommandsRequest request, RemoteCommands::Done done) {
  RemoteCommands* const remote = loop_->remote();
  if (remote == nullptr) {
    return done(absl::FailedPreconditionError(
        "this coordinator runs Slurm's commands itself; with --slurm-by-client it leaves them to "
        "`coppice pool run`"));
  }
  const std::string session = request.session;
  remote->Exchange(std::move(request), [loop = loop_, remote, session,
                                        done](const absl::StatusOr<CommandsReply>& reply) {
    if (reply.ok() && reply->fresh) {
      loop->Post([loop = loop.get(), remote, session] {
        loop->TickNow([remote, session] { remote->Settle(session); });
      });
    }
    done(reply);
  });
}

}  // namespace coppice::pools

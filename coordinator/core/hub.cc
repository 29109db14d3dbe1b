#include "coordinator/core/hub.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "common/base/logging.h"
#include "common/base/status_macros.h"
#include "coordinator/core/views.h"

namespace coppice::core {

template <typename Callback>
class Hub::SubscriberHandle : public Subscription {
 public:
  explicit SubscriberHandle(std::shared_ptr<Subscriber<Callback>> subscriber)
      : subscriber_(std::move(subscriber)) {}
  ~SubscriberHandle() override {
    absl::MutexLock lock(&subscriber_->mutex);
    subscriber_->ended = true;
    // A callback that ends its own subscription cannot wait for itself.
    if (subscriber_->running && subscriber_->runner == std::this_thread::get_id()) return;
    subscriber_->mutex.Await(absl::Condition(
        +[](bool* running) { return !*running; }, &subscriber_->running));
  }

 private:
  const std::shared_ptr<Subscriber<Callback>> subscriber_;
};

template <typename E, typename... Args>
bool Hub::Call(E& subscriber, const Args&... args) {
  {
    absl::MutexLock lock(&subscriber.mutex);
    if (subscriber.ended) return false;
    subscriber.running = true;
    subscriber.runner = std::this_thread::get_id();
  }
  subscriber.callback(args...);
  absl::MutexLock lock(&subscriber.mutex);
  subscriber.running = false;
  return true;
}

bool Hub::HasEnded(SweepSubscriber& subscriber) {
  absl::MutexLock lock(&subscriber.mutex);
  return subscriber.ended;
}

void Hub::End(SweepSubscriber& subscriber) {
  absl::MutexLock lock(&subscriber.mutex);
  subscriber.ended = true;
}

std::unique_ptr<Subscription> Hub::WatchSweep(SweepId id,
                                              std::function<void(const SweepChange&)> on_change) {
  auto subscriber = std::make_shared<SweepSubscriber>();
  subscriber->callback = std::move(on_change);
  {
    // The first summary is queued before any change committed after this point.
    absl::MutexLock lock(&mutex_);
    sweeps_[id].subscribers.push_back(subscriber);
    delivery_.Add([this, id, subscriber] { DeliverFirst(id, subscriber); });
  }
  return std::make_unique<SubscriberHandle<std::function<void(const SweepChange&)>>>(
      std::move(subscriber));
}

std::unique_ptr<Subscription> Hub::WatchLog(JobId id, std::function<void()> on_change) {
  auto subscriber = std::make_shared<LogSubscriber>();
  subscriber->callback = std::move(on_change);
  absl::MutexLock lock(&mutex_);
  logs_[id].push_back(subscriber);
  return std::make_unique<SubscriberHandle<std::function<void()>>>(std::move(subscriber));
}

void Hub::Queue(std::function<void()> deliver) {
  const bool queued = delivery_.Add([this, deliver = std::move(deliver)] {
    deliver();
    absl::MutexLock lock(&mutex_);
    --pending_;
  });
  if (queued) ++pending_;
}

void Hub::Publish(const Effects& effects) {
  const auto room = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return pending_ < kMaxPending; };
  absl::MutexLock lock(&mutex_, absl::Condition(&room));
  if (!sweeps_.empty()) {
    for (const JobRow& row : effects.changed) {
      if (!sweeps_.contains(row.sweep_id)) continue;
      Queue([this, row] { DeliverJob(row); });
      ScheduleSummary(row.sweep_id);
    }
    for (const SweepId id : effects.touched) ScheduleSummary(id);
    for (const SweepId id : effects.finished) {
      const auto it = sweeps_.find(id);
      if (it == sweeps_.end()) continue;
      it->second.finishing = true;
      delivery_.Add([this, id] { DeliverSummary(id, /*last=*/true); });
    }
  }
  if (logs_.empty()) return;
  for (const JobId id : effects.logged) {
    if (logs_.contains(id)) Queue([this, id] { DeliverLog(id); });
  }
  for (const JobRow& row : effects.changed) {
    if (!IsOpen(row.state) && logs_.contains(row.id))
      Queue([this, id = row.id] { DeliverLog(id); });
  }
}

void Hub::Shutdown() { delivery_.Shutdown(); }

void Hub::ScheduleSummary(SweepId id) {
  const auto it = sweeps_.find(id);
  if (it == sweeps_.end() || it->second.scheduled) return;
  it->second.scheduled = true;
  const absl::Duration wait = it->second.last_summary + kSummaryInterval - clock_.Monotonic();
  if (wait <= absl::ZeroDuration()) {
    delivery_.Add([this, id] { DeliverSummary(id, /*last=*/false); });
    return;
  }
  clock_.Schedule(wait, [weak = weak_from_this(), id] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    self->delivery_.Add([hub = self.get(), id] { hub->DeliverSummary(id, /*last=*/false); });
  });
}

absl::StatusOr<SweepChange> Hub::ReadChange(SweepId id) {
  SweepChange change;
  COPPICE_RETURN_IF_ERROR(store_.Read([&](ReadTransaction& read) -> absl::Status {
    const absl::StatusOr<SweepRow> row = read.GetSweep(id);
    change.deleted = absl::IsNotFound(row.status()) || (row.ok() && row->deleted);
    if (change.deleted) return absl::OkStatus();
    COPPICE_RETURN_IF_ERROR(row.status());
    COPPICE_ASSIGN_OR_RETURN(change.summary, ReadSummary(read, id, memory_.leases));
    return absl::OkStatus();
  }));
  change.finished = !change.deleted && change.summary->counts.unfinished() == 0;
  return change;
}

std::vector<std::shared_ptr<Hub::SweepSubscriber>> Hub::SubscribersOf(SweepId id) {
  absl::MutexLock lock(&mutex_);
  const auto it = sweeps_.find(id);
  if (it == sweeps_.end()) return {};
  auto& subscribers = it->second.subscribers;
  subscribers.erase(std::remove_if(subscribers.begin(), subscribers.end(),
                                   [](const auto& subscriber) { return HasEnded(*subscriber); }),
                    subscribers.end());
  if (!subscribers.empty()) return subscribers;
  sweeps_.erase(it);
  return {};
}

void Hub::DeliverFirst(SweepId id, const std::shared_ptr<SweepSubscriber>& subscriber) {
  auto change = ReadChange(id);
  if (!change.ok()) {
    spdlog::warn("cannot read sweep {} for a watcher: {}", id, change.status().ToString());
    return;
  }
  {
    // If the sweep finished meanwhile, its last changes and its last summary are still queued.
    absl::MutexLock lock(&mutex_);
    const auto it = sweeps_.find(id);
    if (it != sweeps_.end() && it->second.finishing) change->finished = false;
  }
  Call(*subscriber, *change);
  if (change->finished || change->deleted) End(*subscriber);
}

void Hub::DeliverSummary(SweepId id, bool last) {
  {
    absl::MutexLock lock(&mutex_);
    const auto it = sweeps_.find(id);
    if (it == sweeps_.end()) return;
    it->second.scheduled = false;
    if (last) it->second.finishing = false;
    it->second.last_summary = clock_.Monotonic();
  }
  const auto subscribers = SubscribersOf(id);
  if (subscribers.empty()) return;
  auto change = ReadChange(id);
  if (!change.ok()) {
    spdlog::warn("cannot read sweep {} for its watchers: {}", id, change.status().ToString());
    return;
  }
  // The store may be ahead of the queued changes. A watch ends only after the last change.
  if (!last) change->finished = false;
  for (const auto& subscriber : subscribers) {
    Call(*subscriber, *change);
    if (change->finished || change->deleted) End(*subscriber);
  }
}

void Hub::DeliverJob(const JobRow& row) {
  const auto subscribers = SubscribersOf(row.sweep_id);
  if (subscribers.empty()) return;
  SweepChange change;
  change.job = MakeJob(row, memory_.catalog, memory_.leases);
  for (const auto& subscriber : subscribers) Call(*subscriber, change);
}

void Hub::DeliverLog(JobId id) {
  std::vector<std::shared_ptr<LogSubscriber>> subscribers;
  {
    absl::MutexLock lock(&mutex_);
    const auto it = logs_.find(id);
    if (it == logs_.end()) return;
    subscribers = it->second;
  }
  std::vector<std::shared_ptr<LogSubscriber>> gone;
  for (const auto& subscriber : subscribers) {
    if (!Call(*subscriber)) gone.push_back(subscriber);
  }
  if (gone.empty()) return;
  absl::MutexLock lock(&mutex_);
  const auto it = logs_.find(id);
  if (it == logs_.end()) return;
  auto& present = it->second;
  for (const auto& ended : gone)
    present.erase(std::remove(present.begin(), present.end(), ended), present.end());
  if (present.empty()) logs_.erase(it);
}

}  // namespace coppice::core

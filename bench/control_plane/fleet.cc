#include "bench/control_plane/fleet.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/ids.h"
#include "common/rpc/channel.h"
#include "worker/daemon/grpc_record_stream.h"

namespace coppice::bench {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(15);
constexpr absl::Duration kFirstDelay = absl::Milliseconds(200);
constexpr absl::Duration kLongestDelay = absl::Seconds(5);
constexpr size_t kStartsInFlight = 256;
constexpr absl::Duration kAllLimit = absl::Minutes(5);
constexpr uint32_t kSlots = 8;

constexpr size_t kRecordsInMessage = 256;

v1::AttemptAnswer NeverAcknowledged() {
  v1::AttemptAnswer answer;
  answer.mutable_refusal()->set_message("the stream was closed");
  return answer;
}

}  // namespace

SimulatedWorker::SimulatedWorker(std::string name, v1::WorkerService::Stub* stub,
                                 worker::CallRegistry* calls)
    : name_(std::move(name)),
      instance_(RandomId()),
      stub_(stub),
      calls_(calls),
      backoff_(kFirstDelay, kLongestDelay) {}

SimulatedWorker::~SimulatedWorker() {
  CloseStream();
  Clock::TimerId reopen = 0;
  {
    absl::MutexLock lock(&mutex_);
    reopen = reopen_;
  }
  Clock::Real()->Cancel(reopen);
}

std::string SimulatedWorker::id() const {
  absl::MutexLock lock(&mutex_);
  return id_;
}

void SimulatedWorker::SetId(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  id_ = id;
}

v1::RegisterRequest SimulatedWorker::Registration() const {
  v1::RegisterRequest request;
  request.set_name(name_);
  request.set_instance(instance_);
  request.set_host("bench");
  request.set_version(COPPICE_VERSION);
  request.set_protocol(rpc::kProtocolVersion);
  request.set_slots(kSlots);
  request.set_pack_width(10);
  request.set_device("simulated");
  request.set_shared_checkpoints(true);
  return request;
}

void SimulatedWorker::Add(std::vector<v1::AttemptRecord> records, Answered answered) {
  {
    absl::MutexLock lock(&mutex_);
    if (!closed_) {
      unsent_.insert(unsent_.end(), records.begin(), records.end());
      const uint64_t job = records.front().lease().job_id();
      unacked_[job].push_back({std::move(records), std::move(answered)});
      return;
    }
  }
  if (answered) answered(NeverAcknowledged());
}

void SimulatedWorker::Flush() {
  absl::MutexLock lock(&mutex_);
  if (unsent_.empty()) return;
  if (stream_ == nullptr && stream_number_ == 0) return OpenLocked();  // also sends it
  // While a stream waits to be opened again, nothing is lost: it will send everything.
  stream_ == nullptr ? unsent_.clear() : SendLocked();
}

void SimulatedWorker::SendLocked() {
  for (size_t from = 0; from < unsent_.size(); from += kRecordsInMessage) {
    v1::StreamRecordsRequest message;
    if (!std::exchange(introduced_, true)) message.set_worker_id(id_);
    const size_t to = std::min(from + kRecordsInMessage, unsent_.size());
    for (size_t i = from; i < to; ++i) *message.add_records() = std::move(unsent_[i]);
    stream_->Send(std::move(message));
  }
  unsent_.clear();
}

void SimulatedWorker::OpenLocked() {
  const uint64_t number = ++stream_number_;
  introduced_ = false;
  stream_ = worker::OpenGrpcRecordStream(
      stub_, calls_,
      [this, number](const v1::StreamRecordsResponse& answer) { OnAnswer(number, answer); },
      [this, number](const absl::Status& status) { OnEnd(number, status); });
  unsent_.clear();
  for (const auto& [job, waiting] : unacked_) {
    for (const Unacked& one : waiting) {
      unsent_.insert(unsent_.end(), one.records.begin(), one.records.end());
    }
  }
  SendLocked();
}

std::vector<SimulatedWorker::Answered> SimulatedWorker::TakeAnsweredLocked(
    const v1::AttemptAnswer& answer) {
  std::vector<Answered> answered;
  const auto it = unacked_.find(answer.lease().job_id());
  if (it == unacked_.end()) return answered;
  const auto done = [&](Unacked& one) {
    const v1::AttemptRecord& last = one.records.back();
    if (last.lease().attempt() != answer.lease().attempt()) return false;
    if (last.number() > answer.number() && !answer.over() && !answer.has_refusal()) return false;
    if (one.answered) answered.push_back(std::move(one.answered));
    return true;
  };
  it->second.erase(std::remove_if(it->second.begin(), it->second.end(), done), it->second.end());
  if (it->second.empty()) unacked_.erase(it);
  return answered;
}

void SimulatedWorker::OnAnswer(uint64_t stream, const v1::StreamRecordsResponse& answer) {
  for (const v1::AttemptAnswer& one : answer.answers()) {
    std::vector<Answered> answered;
    {
      absl::MutexLock lock(&mutex_);
      if (stream != stream_number_ || closed_) return;
      backoff_.Reset();
      answered = TakeAnsweredLocked(one);
    }
    for (const Answered& callback : answered) callback(one);
  }
  Flush();
}

void SimulatedWorker::OnEnd(uint64_t stream, const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (stream != stream_number_ || closed_) return;
  if (absl::IsResourceExhausted(status)) ++streams_refused_;
  stream_ = nullptr;
  reopen_ = Clock::Real()->Schedule(backoff_.Next(), [this, stream] {
    absl::MutexLock again(&mutex_);
    if (stream == stream_number_ && !closed_) OpenLocked();
  });
}

void SimulatedWorker::CloseStream() {
  std::shared_ptr<worker::RecordStream> stream;
  absl::flat_hash_map<uint64_t, std::vector<Unacked>> unacked;
  {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
    unacked.swap(unacked_);
    unsent_.clear();
    stream.swap(stream_);
  }
  for (const auto& [job, waiting] : unacked) {
    for (const Unacked& one : waiting) {
      if (one.answered) one.answered(NeverAcknowledged());
    }
  }
}

std::vector<v1::HeldLease> SimulatedWorker::held() const {
  absl::MutexLock lock(&mutex_);
  return held_;
}

void SimulatedWorker::Hold(const v1::AcquireLeasesResponse& grant) {
  absl::MutexLock lock(&mutex_);
  for (const v1::Lease& lease : grant.leases()) {
    v1::HeldLease held;
    *held.mutable_lease() = lease.lease();
    held.set_steps_per_second(20);
    held_.push_back(std::move(held));
  }
}

void SimulatedWorker::Begin(const v1::LeaseRef& lease) {
  absl::MutexLock lock(&mutex_);
  running_[lease.job_id()] = lease;
}

void SimulatedWorker::End(const v1::LeaseRef& lease) {
  absl::MutexLock lock(&mutex_);
  const auto it = running_.find(lease.job_id());
  if (it != running_.end() && it->second.attempt() == lease.attempt()) running_.erase(it);
}

std::vector<v1::HeldLease> SimulatedWorker::listed() const {
  absl::MutexLock lock(&mutex_);
  std::vector<v1::HeldLease> all = held_;
  for (const auto& [job, lease] : running_) *all.emplace_back().mutable_lease() = lease;
  return all;
}

void SimulatedWorker::SetStep(uint64_t job, uint32_t step) {
  absl::MutexLock lock(&mutex_);
  for (v1::HeldLease& held : held_) {
    if (held.lease().job_id() == job) held.set_step(step);
  }
}

Fleet::Fleet(const Options& options, const std::string& address, const std::string& name)
    : options_(options), clock_(Clock::Real()) {
  const uint32_t connections = options.connections == 0 ? options.workers : options.connections;
  for (uint32_t i = 0; i < connections; ++i) {
    stubs_.push_back(v1::WorkerService::NewStub(*rpc::MakeChannel(address)));
  }
  for (uint32_t i = 0; i < options.workers; ++i) {
    workers_.push_back(std::make_unique<SimulatedWorker>(absl::StrCat(name, "-", i),
                                                         stubs_[i % connections].get(), &calls_));
    backoffs_.push_back(std::make_unique<Backoff>(kFirstDelay, kLongestDelay));
  }
}

Fleet::~Fleet() {
  StopHeartbeats();
  CloseStreams();
  calls_.CancelAll();
  calls_.WaitForNone();
}

void Fleet::CloseStreams() {
  for (const auto& worker : workers_) worker->CloseStream();
}

uint64_t Fleet::streams_refused() const {
  uint64_t sum = 0;
  for (const auto& worker : workers_) sum += worker->streams_refused();
  return sum;
}

absl::Status Fleet::ForAll(
    const std::function<void(SimulatedWorker&, std::function<void(absl::Status)>)>& start) {
  struct State {
    absl::Mutex mutex;
    size_t in_flight ABSL_GUARDED_BY(mutex) = 0;
    absl::Status first ABSL_GUARDED_BY(mutex);
  };
  const auto state = std::make_shared<State>();
  for (const auto& worker : workers_) {
    {
      absl::MutexLock lock(&state->mutex);
      const auto room = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(state->mutex) {
        return state->in_flight < kStartsInFlight;
      };
      state->mutex.Await(absl::Condition(&room));
      if (!state->first.ok()) return state->first;
      ++state->in_flight;
    }
    start(*worker, [state](absl::Status status) {
      absl::MutexLock lock(&state->mutex);
      --state->in_flight;
      state->first.Update(status);
    });
  }
  absl::MutexLock lock(&state->mutex);
  const auto none = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(state->mutex) {
    return state->in_flight == 0;
  };
  if (!state->mutex.AwaitWithTimeout(absl::Condition(&none), kAllLimit))
    return absl::DeadlineExceededError("the workers were not all answered");
  return state->first;
}

namespace {

// The first call gets a number, the second one uses it.
void Register(SimulatedWorker& worker, uint64_t incarnation,
              std::function<void(absl::Status)> done) {
  v1::RegisterRequest request = worker.Registration();
  request.set_incarnation(incarnation);
  Call<v1::RegisterRequest, v1::RegisterResponse>(
      worker.stub(), &Async::Register, std::move(request), kAllLimit,
      [&worker, done = std::move(done)](absl::Status status, const v1::RegisterResponse& answer) {
        if (status.ok() && answer.confirm()) {
          return Register(worker, answer.incarnation(), done);
        }
        if (status.ok()) worker.SetId(answer.worker_id());
        done(std::move(status));
      });
}

}  // namespace

absl::Status Fleet::RegisterAll() {
  return ForAll([](SimulatedWorker& worker, std::function<void(absl::Status)> done) {
    Register(worker, 0, std::move(done));
  });
}

absl::Status Fleet::HoldJobs() {
  return ForAll([this](SimulatedWorker& worker, std::function<void(absl::Status)> done) {
    v1::AcquireLeasesRequest request;
    request.set_worker_id(worker.id());
    request.set_request_id("held");
    request.set_pack_width(options_.held);
    request.set_wait_ms(30'000);
    Call<v1::AcquireLeasesRequest, v1::AcquireLeasesResponse>(
        worker.stub(), &Async::AcquireLeases, std::move(request), kAllLimit,
        [&worker, done = std::move(done)](absl::Status status,
                                          const v1::AcquireLeasesResponse& grant) {
          if (status.ok() && grant.leases().empty())
            status = absl::InternalError("a worker was given no job to hold");
          worker.Hold(grant);
          done(std::move(status));
        });
  });
}

void Fleet::StartHeartbeats() {
  beating_ = true;
  const absl::Duration interval = absl::Seconds(options_.heartbeat);
  for (size_t i = 0; i < workers_.size(); ++i) {
    ++beats_pending_;
    clock_->Schedule(interval * (static_cast<double>(i) / static_cast<double>(workers_.size())),
                     [this, i] { Beat(i); });
  }
}

void Fleet::Beat(size_t index) {
  if (!beating_) {
    --beats_pending_;
    return;
  }
  SimulatedWorker& worker = *workers_[index];
  v1::HeartbeatRequest request;
  request.set_worker_id(worker.id());
  for (v1::HeldLease& held : worker.listed()) *request.add_held() = std::move(held);
  const absl::Duration sent = clock_->Monotonic();
  Call<v1::HeartbeatRequest, v1::HeartbeatResponse>(
      worker.stub(), &Async::Heartbeat, std::move(request), kCallTimeout,
      [this, index, sent](const absl::Status& status, const v1::HeartbeatResponse& answer) {
        absl::Duration delay = absl::Seconds(options_.heartbeat);
        if (status.ok()) {
          ++beats_answered_;
          backoffs_[index]->Reset();
          for (const v1::Directive& directive : answer.directives())
            if (directive.action() != v1::Directive::CONTINUE) ++leases_lost_;
          absl::MutexLock lock(&mutex_);
          beat_latencies_.Add(clock_->Monotonic() - sent);
        } else {
          ++beats_failed_;
          delay = std::min(delay, backoffs_[index]->Next());
        }
        clock_->Schedule(delay, [this, index] { Beat(index); });
      });
}

void Fleet::StopHeartbeats() {
  beating_ = false;
  while (beats_pending_ > 0) absl::SleepFor(absl::Milliseconds(20));
}

Latencies Fleet::TakeHeartbeatLatencies() {
  absl::MutexLock lock(&mutex_);
  return std::exchange(beat_latencies_, Latencies());
}

}  // namespace coppice::bench

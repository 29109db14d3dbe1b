#include "bench/control_plane/cycles.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "bench/control_plane/sweeps.h"
#include "common/base/files.h"
#include "common/base/retry_after.h"
#include "common/base/status_macros.h"

namespace coppice::bench {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(15);
constexpr uint32_t kWaitMs = 20'000;
constexpr absl::Duration kDrainLimit = absl::Seconds(90);
// The bench itself could not hold more. A request that finds no room counts as refused.
constexpr int64_t kMaxRunning = 60'000;
constexpr absl::string_view kContent = "not a real checkpoint";

// The path of a job's checkpoint: its attempt's folder, as a worker makes it.
std::string PathOf(const v1::Lease& lease) {
  return absl::StrCat(lease.checkpoint_dir(), "/step-", kShortSteps, ".safetensors");
}

absl::Status WriteCheckpoint(const std::string& root, const v1::Lease& lease) {
  COPPICE_RETURN_IF_ERROR(MakeDirectories(JoinPath(root, lease.checkpoint_dir())));
  std::ofstream file(JoinPath(root, PathOf(lease)), std::ios::binary);
  file << kContent;
  file.close();
  return file ? absl::OkStatus() : absl::InternalError("cannot write a checkpoint");
}

// A job that has succeeded needs its file no more. This keeps the folder small.
void RemoveCheckpoint(const std::string& root, const v1::Lease& lease) {
  std::error_code ignored;
  const std::filesystem::path attempt = JoinPath(root, lease.checkpoint_dir());
  std::filesystem::remove_all(attempt.parent_path(), ignored);
}

v1::AttemptRecord Record(const v1::Lease& lease, uint64_t number) {
  v1::AttemptRecord record;
  *record.mutable_lease() = lease.lease();
  record.set_number(number);
  return record;
}

// The numbers of a job's three records.
constexpr uint64_t kRow = 1;
constexpr uint64_t kCheckpoint = 2;
constexpr uint64_t kCompletion = 3;

std::vector<v1::AttemptRecord> EndOf(const v1::Lease& lease) {
  std::vector<v1::AttemptRecord> records = {Record(lease, kCheckpoint), Record(lease, kCompletion)};
  v1::CheckpointRecord* checkpoint = records[0].mutable_checkpoint();
  checkpoint->set_step(kShortSteps);
  checkpoint->set_path(PathOf(lease));
  checkpoint->set_digest("0123456789abcdef0123456789abcdef");
  checkpoint->set_bytes(kContent.size());
  records[1].mutable_completed()->set_step(kShortSteps);
  return records;
}

}  // namespace

struct Cycles::Cycle {
  SimulatedWorker* worker;
  uint32_t pack;
  std::string request_id;
  absl::Duration due;
  bool again;
  Backoff backoff{absl::Milliseconds(200), absl::Seconds(5)};
  std::atomic<int> jobs{0};
};

struct Cycles::Job {
  std::shared_ptr<Cycle> cycle;
  v1::Lease lease;
};

bool Cycles::TryAgain(const absl::Status& status, Backoff& backoff, std::function<void()> retry) {
  {
    absl::MutexLock lock(&mutex_);
    ++(absl::IsResourceExhausted(status) ? result_.refused : result_.failed);
  }
  if (abandoned_ || !rpc::IsRetryable(status)) return false;
  clock_->Schedule(std::max(backoff.Next(), RetryAfter(status)), std::move(retry));
  return true;
}

void Cycles::Start(SimulatedWorker* worker, uint32_t pack, absl::Duration due, bool again) {
  auto cycle = std::make_shared<Cycle>();
  cycle->worker = worker;
  cycle->pack = pack;
  cycle->request_id = absl::StrCat("cycle-", ++next_request_);
  cycle->due = due;
  cycle->again = again;
  ++running_;
  Acquire(cycle);
}

void Cycles::Acquire(const std::shared_ptr<Cycle>& cycle) {
  v1::AcquireLeasesRequest request;
  request.set_worker_id(cycle->worker->id());
  request.set_request_id(cycle->request_id);
  request.set_slot(1);
  request.set_pack_width(cycle->pack);
  request.set_wait_ms(kWaitMs);
  Call<v1::AcquireLeasesRequest, v1::AcquireLeasesResponse>(
      cycle->worker->stub(), &Async::AcquireLeases, std::move(request),
      absl::Milliseconds(kWaitMs) + kCallTimeout,
      [this, cycle](const absl::Status& status, const v1::AcquireLeasesResponse& grant) {
        if (status.ok()) return OnGrant(cycle, grant);
        if (!TryAgain(status, cycle->backoff, [this, cycle] { Acquire(cycle); })) EndCycle(cycle);
      });
}

void Cycles::OnGrant(const std::shared_ptr<Cycle>& cycle, const v1::AcquireLeasesResponse& grant) {
  if (grant.leases().empty()) return EndCycle(cycle);
  for (const v1::Lease& lease : grant.leases()) cycle->worker->Begin(lease.lease());
  {
    absl::MutexLock lock(&mutex_);
    result_.lease_latency.Add(clock_->Monotonic() - cycle->due);
    result_.leases += static_cast<uint64_t>(grant.leases_size());
    for (const v1::Lease& lease : grant.leases())
      open_leases_[lease.lease().job_id()] = lease.lease().attempt();
  }
  cycle->jobs = grant.leases_size();
  for (const v1::Lease& lease : grant.leases()) {
    v1::AttemptRecord row = Record(lease, kRow);
    FillRow(kShortSteps, options_.values, row.mutable_row());
    cycle->worker->Add({std::move(row)}, nullptr);
  }
  cycle->worker->Flush();
  for (const v1::Lease& lease : grant.leases()) {
    auto job = std::make_shared<Job>(Job{cycle, lease});
    // Without its file the checkpoint is left out and the completion refused.
    WriteCheckpoint(checkpoint_folder_, lease).IgnoreError();
    cycle->worker->Add(EndOf(lease), [this, job = std::move(job)](const v1::AttemptAnswer& answer) {
      OnAnswer(job, answer);
    });
  }
  cycle->worker->Flush();
}

void Cycles::OnAnswer(const std::shared_ptr<Job>& job, const v1::AttemptAnswer& answer) {
  if (answer.over()) return answer.number() >= kCompletion ? Succeed(job) : Lose(job);
  {
    absl::MutexLock lock(&mutex_);
    ++result_.failed;
  }
  EndJob(job);
}

void Cycles::Succeed(const std::shared_ptr<Job>& job) {
  job->cycle->worker->End(job->lease.lease());
  RemoveCheckpoint(checkpoint_folder_, job->lease);
  {
    absl::MutexLock lock(&mutex_);
    ++result_.completions;
    last_completion_ = clock_->Monotonic();
    completed_.insert(job->lease.lease().job_id());
    open_leases_.erase(job->lease.lease().job_id());
  }
  EndJob(job);
}

// The coordinator has ended this lease, as it does if a worker's heartbeats come too late.
void Cycles::Lose(const std::shared_ptr<Job>& job) {
  const v1::LeaseRef& lease = job->lease.lease();
  job->cycle->worker->End(lease);
  {
    absl::MutexLock lock(&mutex_);
    ++result_.lost;
    const auto open = open_leases_.find(lease.job_id());
    if (open != open_leases_.end() && open->second == lease.attempt()) open_leases_.erase(open);
  }
  EndJob(job);
}

void Cycles::EndJob(const std::shared_ptr<Job>& job) {
  if (--job->cycle->jobs == 0) EndCycle(job->cycle);
}

void Cycles::EndCycle(const std::shared_ptr<Cycle>& cycle) {
  if (cycle->again && open_ && !abandoned_)
    Start(cycle->worker, cycle->pack, clock_->Monotonic(), true);
  --running_;
}

bool Cycles::WaitForNone(absl::Duration limit) {
  const absl::Duration end = clock_->Monotonic() + limit;
  while (running_ > 0 && clock_->Monotonic() < end) absl::SleepFor(absl::Milliseconds(5));
  return running_ == 0;
}

double Cycles::Drain() {
  const absl::Duration began = clock_->Monotonic();
  WaitForNone(kDrainLimit);
  return absl::ToDoubleSeconds(clock_->Monotonic() - began);
}

Cycles::~Cycles() {
  Abandon();
  fleet_.CloseStreams();
  WaitForNone(absl::InfiniteDuration());
}

void Cycles::Reset() {
  absl::MutexLock lock(&mutex_);
  result_ = LoadResult();
  refused_before_ = fleet_.streams_refused();
}

LoadResult Cycles::Finish(absl::Duration began, double client_cpu, double server_cpu,
                          pid_t server) {
  absl::MutexLock lock(&mutex_);
  LoadResult result = result_;
  result.refused += fleet_.streams_refused() - refused_before_;
  result.seconds = absl::ToDoubleSeconds(clock_->Monotonic() - began);
  result.client_cpu = OwnCpuSeconds() - client_cpu;
  result.server_cpu = CpuSecondsOf(server) - server_cpu;
  return result;
}

void Cycles::StartEndless(uint32_t pack, uint32_t concurrency) {
  open_ = true;
  for (uint32_t i = 0; i < concurrency; ++i)
    Start(&fleet_.at(i % options_.active), pack, clock_->Monotonic(), true);
}

LoadResult Cycles::ClosedLoop(pid_t server, uint32_t pack, uint32_t concurrency,
                              absl::Duration duration) {
  StartEndless(pack, concurrency);
  // The first requests are not typical, so they are not measured.
  absl::SleepFor(std::min(absl::Seconds(2), duration / 4));
  Reset();
  const absl::Duration began = clock_->Monotonic();
  const double client_cpu = OwnCpuSeconds();
  const double server_cpu = CpuSecondsOf(server);
  absl::SleepFor(duration);
  LoadResult result = Finish(began, client_cpu, server_cpu, server);
  result.offered = result.leases;
  open_ = false;
  result.drain_seconds = Drain();
  return result;
}

LoadResult Cycles::OpenLoop(pid_t server, uint32_t pack, double requests_per_second,
                            absl::Duration duration) {
  Reset();
  const absl::Duration began = clock_->Monotonic();
  const double client_cpu = OwnCpuSeconds();
  const double server_cpu = CpuSecondsOf(server);
  const absl::Duration gap = absl::Seconds(1 / requests_per_second);
  uint64_t offered = 0;
  for (absl::Duration due = began; due < began + duration; due += gap) {
    const absl::Duration wait = due - clock_->Monotonic();
    if (wait > absl::ZeroDuration()) absl::SleepFor(wait);
    ++offered;
    if (running_ >= kMaxRunning) {
      absl::MutexLock lock(&mutex_);
      ++result_.refused;
      continue;
    }
    Start(&fleet_.at(offered % options_.active), pack, due, false);
  }
  LoadResult result = Finish(began, client_cpu, server_cpu, server);
  result.offered = offered;
  result.drain_seconds = Drain();
  // The slowest answers come after the end. Without them the quantiles would look better.
  absl::MutexLock lock(&mutex_);
  result.lease_latency = result_.lease_latency;
  result.in_all = result_.completions;
  result.until_last = absl::ToDoubleSeconds(last_completion_ - began);
  return result;
}

absl::flat_hash_set<uint64_t> Cycles::completed() const {
  absl::MutexLock lock(&mutex_);
  return completed_;
}

absl::flat_hash_map<uint64_t, uint64_t> Cycles::open_leases() const {
  absl::MutexLock lock(&mutex_);
  return open_leases_;
}

}  // namespace coppice::bench

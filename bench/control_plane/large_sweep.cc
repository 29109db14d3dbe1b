// bench_large_sweep: the waits of other callers while one sweep of millions of jobs is submitted,
// and while forty connections list it with filters.
#include <grpcpp/grpcpp.h>
#include <stdlib.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "bench/control_plane/coordinator_process.h"
#include "bench/control_plane/machine.h"
#include "common/base/process.h"
#include "common/base/status_macros.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "coppice/v1/coordinator.grpc.pb.h"
#include "worker/daemon/call_registry.h"

namespace coppice::bench {
namespace {

constexpr absl::Duration kTimeout = absl::Minutes(5);
constexpr absl::Duration kPause = absl::Milliseconds(50);
constexpr char kSweep[] = "large";

v1::SweepSpec SpecOf(const std::string& name, uint64_t jobs) {
  v1::SweepSpec spec;
  spec.set_name(name);
  spec.add_tasks("question");
  const uint64_t depths = jobs >= 5 ? 5 : 1;
  for (uint64_t depth = 1; depth <= depths; ++depth)
    spec.add_depths(static_cast<uint32_t>(2 * depth));
  for (uint64_t seed = 0; seed < jobs / depths; ++seed) spec.add_seeds(static_cast<uint32_t>(seed));
  return spec;
}

// A blocking call on a connection of its own.
template <typename Service>
class Connection {
 public:
  explicit Connection(const std::string& address)
      : stub_(Service::NewStub(*rpc::MakeChannel(address))) {}

  template <typename Request, typename Response>
  absl::Status Call(grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Request&,
                                                          Response*),
                    const Request& request, Response* response, absl::Duration timeout = kTimeout) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    worker::SetDeadline(&context, timeout);
    return rpc::FromGrpc((stub_.get()->*method)(&context, request, response));
  }

 private:
  const std::unique_ptr<typename Service::Stub> stub_;
};

// Purpose: makes a call every 50 ms on a thread of its own, and keeps the longest wait since the
// last query. Owner: main.
class Probe {
 public:
  explicit Probe(std::function<absl::Status()> call)
      : call_(std::move(call)), thread_([this] { Run(); }) {}
  ~Probe() {
    stopped_ = true;
    thread_.join();
  }
  Latencies Take() {
    absl::MutexLock lock(&mutex_);
    // A call in flight counts with its wait so far.
    if (began_ != absl::InfiniteFuture()) waits_.Add(absl::Now() - began_);
    return std::exchange(waits_, Latencies());
  }
  int failed() const { return failed_; }

 private:
  void Run() {
    while (!stopped_) {
      const absl::Time began = absl::Now();
      {
        absl::MutexLock lock(&mutex_);
        began_ = began;
      }
      const absl::Status status = call_();
      if (!status.ok() && failed_++ == 0)
        std::fprintf(stderr, "a probe failed: %s\n", status.ToString().c_str());
      {
        absl::MutexLock lock(&mutex_);
        waits_.Add(absl::Now() - began);
        began_ = absl::InfiniteFuture();
      }
      absl::SleepFor(kPause);
    }
  }

  const std::function<absl::Status()> call_;
  std::atomic<bool> stopped_{false};
  std::atomic<int> failed_{0};
  absl::Mutex mutex_;
  Latencies waits_ ABSL_GUARDED_BY(mutex_);
  absl::Time began_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
  std::thread thread_;
};

struct Options {
  std::string coordinator;
  std::string folder;
  uint64_t jobs = 5'000'000;
  int lists = 1000;
  int connections = 40;
};

// A worker with one lease, whose heartbeats are the timed writes.
class Heartbeats {
 public:
  static absl::StatusOr<std::unique_ptr<Heartbeats>> Start(const std::string& address) {
    auto beats = std::make_unique<Heartbeats>(address);
    v1::RegisterRequest registration;
    registration.set_name("bench");
    registration.set_instance("1");
    registration.set_slots(1);
    registration.set_pack_width(1);
    registration.set_protocol(rpc::kProtocolVersion);
    v1::RegisterResponse registered;
    // The first call gets a number, the second one uses it.
    for (int asked = 0; asked < 2 && registered.worker_id().empty(); ++asked) {
      registration.set_incarnation(registered.incarnation());
      COPPICE_RETURN_IF_ERROR(
          beats->connection_.Call(&v1::WorkerService::Stub::Register, registration, &registered));
    }
    v1::AcquireLeasesRequest acquire;
    acquire.set_worker_id(registered.worker_id());
    acquire.set_request_id("1");
    acquire.set_pack_width(1);
    acquire.set_wait_ms(10'000);
    v1::AcquireLeasesResponse grant;
    COPPICE_RETURN_IF_ERROR(
        beats->connection_.Call(&v1::WorkerService::Stub::AcquireLeases, acquire, &grant));
    if (grant.leases().empty()) return absl::InternalError("no lease for the worker");
    beats->request_.set_worker_id(registered.worker_id());
    *beats->request_.add_held()->mutable_lease() = grant.leases(0).lease();
    return beats;
  }
  explicit Heartbeats(const std::string& address) : connection_(address) {}

  absl::Status Send() {
    v1::HeartbeatResponse response;
    COPPICE_RETURN_IF_ERROR(
        connection_.Call(&v1::WorkerService::Stub::Heartbeat, request_, &response));
    return absl::OkStatus();
  }

 private:
  Connection<v1::WorkerService> connection_;
  v1::HeartbeatRequest request_;
};

void Print(const char* what, absl::Duration took, Latencies writes, Latencies reads) {
  std::printf("| %s | %.1f s | %.0f / %.0f ms | %.0f / %.0f ms |\n", what,
              absl::ToDoubleSeconds(took), writes.Quantile(0.5), writes.Quantile(1),
              reads.Quantile(0.5), reads.Quantile(1));
  std::fflush(stdout);
}

// The list asks for one seed of many, with and without a state. Without help from an index it would
// read nearly every job.
v1::ListJobsRequest ListOf(int number, uint64_t seeds) {
  v1::ListJobsRequest request;
  request.mutable_filter()->set_sweep(kSweep);
  request.mutable_filter()->add_seeds(
      static_cast<uint32_t>(seeds - 1 - static_cast<uint64_t>(number) % seeds));
  if (number % 2 == 0) request.mutable_filter()->add_states(v1::PENDING);
  return request;
}

absl::Status List(const Options& options, const std::string& address, absl::Duration timeout) {
  std::atomic<int> next{0};
  std::atomic<int> failed{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < options.connections; ++i) {
    threads.emplace_back([&] {
      Connection<v1::SweepService> connection(address);
      for (int number = next++; number < options.lists; number = next++) {
        v1::ListJobsResponse response;
        const absl::Status status =
            connection.Call(&v1::SweepService::Stub::ListJobs, ListOf(number, options.jobs / 5),
                            &response, timeout);
        if (!status.ok()) ++failed;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (failed > 0 && timeout == kTimeout)
    return absl::InternalError(absl::StrCat(failed.load(), " lists failed"));
  return absl::OkStatus();
}

absl::Status Measure(const Options& options) {
  CoordinatorProcess coordinator(options.coordinator, options.folder,
                                 absl::StrCat(options.folder, "/checkpoints"), 10);
  COPPICE_RETURN_IF_ERROR(coordinator.Start());
  const std::string address = coordinator.address();
  Connection<v1::SweepService> client(address);
  const auto submit = [&](const v1::SweepSpec& spec) {
    v1::SubmitSweepRequest request;
    *request.mutable_spec() = spec;
    v1::SubmitSweepResponse response;
    return client.Call(&v1::SweepService::Stub::SubmitSweep, request, &response);
  };
  COPPICE_RETURN_IF_ERROR(submit(SpecOf("held", 1)));
  COPPICE_ASSIGN_OR_RETURN(const auto heartbeats, Heartbeats::Start(address));
  Connection<v1::SweepService> reader(address);
  Probe writes([&] { return heartbeats->Send(); });
  Probe reads([&] {
    v1::GetJobRequest request;
    request.set_job_id(1);
    v1::GetJobResponse response;
    return reader.Call(&v1::SweepService::Stub::GetJob, request, &response);
  });
  std::printf(
      "| %llu jobs | took | heartbeats p50 / longest | reads p50 / longest |\n"
      "|---|---:|---:|---:|\n",
      static_cast<unsigned long long>(options.jobs));
  const auto phase = [&](const char* what, const std::function<absl::Status()>& body) {
    writes.Take();
    reads.Take();
    const absl::Time began = absl::Now();
    const absl::Status status = body();
    Print(what, absl::Now() - began, writes.Take(), reads.Take());
    return status;
  };
  COPPICE_RETURN_IF_ERROR(phase("nothing else", [] {
    absl::SleepFor(absl::Seconds(3));
    return absl::OkStatus();
  }));
  COPPICE_RETURN_IF_ERROR(phase("submit", [&] { return submit(SpecOf(kSweep, options.jobs)); }));
  COPPICE_RETURN_IF_ERROR(
      phase("filtered lists, 40 connections", [&] { return List(options, address, kTimeout); }));
  Options given_up = options;
  given_up.lists = options.connections;
  COPPICE_RETURN_IF_ERROR(phase("40 lists that are given up after 0.1 s, and 3 s more", [&] {
    const absl::Status status = List(given_up, address, absl::Milliseconds(100));
    absl::SleepFor(absl::Seconds(3));
    return status;
  }));
  std::printf("\nresident memory of the coordinator, peak: %.0f MiB; failed probes: %d\n",
              static_cast<double>(MemoryOf(coordinator.pid()).peak) / (1 << 20),
              writes.failed() + reads.failed());
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  SkipLockOrderChecks();
  ::setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  CLI::App app("Times what others wait for beside one very large sweep.", "bench_large_sweep");
  Options options;
  std::string parent = std::filesystem::temp_directory_path();
  app.add_option("--coordinator", options.coordinator, "The coppice-coordinator binary")
      ->required();
  app.add_option("--data-dir", parent, "Folder on the disk to measure; a new one in it is used")
      ->capture_default_str();
  app.add_option("--jobs", options.jobs, "Jobs of the sweep (a multiple of 5)")
      ->check(CLI::Range(5, 5'000'000))
      ->capture_default_str();
  app.add_option("--lists", options.lists, "Filtered lists")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  options.folder = absl::StrCat(parent, "/coppice-bench-XXXXXX");
  if (::mkdtemp(options.folder.data()) == nullptr) {
    std::fprintf(stderr, "bench_large_sweep: cannot make a folder in %s\n", parent.c_str());
    return 1;
  }
  const absl::Status status = Measure(options);
  std::filesystem::remove_all(options.folder);
  if (status.ok()) return 0;
  std::fprintf(stderr, "bench_large_sweep: %s\n", status.ToString().c_str());
  return 1;
}

}  // namespace
}  // namespace coppice::bench

int main(int argc, char** argv) { return coppice::bench::Main(argc, argv); }

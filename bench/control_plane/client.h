// The requests of a person's client during all this load.
#ifndef COPPICE_BENCH_CONTROL_PLANE_CLIENT_H_
#define COPPICE_BENCH_CONTROL_PLANE_CLIENT_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/control_plane/machine.h"
#include "bench/control_plane/options.h"
#include "coppice/v1/coordinator.grpc.pb.h"

namespace coppice::bench {

// Purpose: blocking SweepService calls. Owner: main. Thread-safe.
class Client {
 public:
  explicit Client(const std::string& address);

  absl::StatusOr<v1::SubmitSweepResponse> Submit(const v1::SweepSpec& spec);
  absl::StatusOr<v1::GetSweepResponse> GetSweep(const std::string& name);
  absl::Status FirstJobs(const std::string& sweep);
  absl::Status ListWorkers();
  // Calls back with every job of a sweep, page by page.
  absl::Status EachJob(const std::string& sweep, v1::JobState state,
                       const std::function<void(const v1::Job&)>& each);

 private:
  const std::unique_ptr<v1::SweepService::Stub> stub_;
};

struct StatusLatencies {
  Latencies get_sweep;
  Latencies list_jobs;  // the first 1,000
  Latencies list_workers;
  Latencies command;  // `coppice status`, from exec to exit
  uint64_t failed = 0;
};

// Purpose: repeats requests on a thread of its own, from construction to Stop.
class StatusProbe {
 public:
  // `coppice` is a process of its own, so its waits are not caused by this one.
  enum What { kAll, kCommandAlone };

  StatusProbe(const Options& options, const std::string& address, What what = kAll);
  ~StatusProbe() { Stop(); }
  StatusLatencies Stop();

 private:
  void Run();

  const Options& options_;
  const std::string address_;
  const What what_;
  Client client_;
  std::atomic<bool> stopped_{false};
  StatusLatencies latencies_;  // of the thread until it has ended
  std::thread thread_;
};

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_CONTROL_PLANE_CLIENT_H_

// A real deployment on loopback: coordinator, workers, trainers and the CLI, as processes in one
// folder.
#ifndef COPPICE_TESTS_E2E_CLUSTER_H_
#define COPPICE_TESTS_E2E_CLUSTER_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "coppice/v1/coordinator.grpc.pb.h"
#include "tests/testing/subprocess.h"
#include "tests/testing/temp_dir.h"

namespace coppice::e2e {

// The path build/.../bin/NAME of the build under test.
std::string Binary(const std::string& name);

struct WorkerFlags {
  int slots = 1;
  int pack = 1;  // 0: auto
  int threads = 1;
  bool shared_checkpoints = true;  // false: checkpoints travel over gRPC
  std::string trainer = {};        // empty: the real one
  std::string name = {};           // --name; empty: the test's own name for it
  std::vector<std::string> extra = {};
};

// Leases are short (2 s) so that tests of lost workers end soon. Not thread-safe.
class Cluster {
 public:
  Cluster() : access_(dir_.Join("access.json")) {}
  // Uses a coordinator that was started elsewhere.
  Cluster(std::string address, std::string access)
      : access_(std::move(access)), address_(std::move(address)) {}

  // Keeps its port across coordinator restarts.
  void StartCoordinator(std::vector<std::string> extra = {});
  void StartWorker(const std::string& name, WorkerFlags flags = {});
  testing::Subprocess& coordinator() { return *coordinator_; }
  testing::Subprocess& worker(const std::string& name) { return *workers_.at(name); }
  void ForgetWorker(const std::string& name) { workers_.erase(name); }

  const std::string& address() const { return address_; }
  // The access file of its clients and workers.
  const std::string& access() const { return access_; }
  std::string Path(const std::string& name) const { return dir_.Join(name); }

  // Runs `coppice ARGS...` against this coordinator.
  testing::RunResult Cli(std::vector<std::string> args, absl::Duration timeout = absl::Seconds(60));
  // Writes `yaml` to a file and submits it, which must succeed.
  void Submit(const std::string& yaml);

  // Follows the sweep until `done` holds for a change, or it ends. False on a timeout or a broken
  // stream. If the coordinator is killed meanwhile, call it again.
  bool WatchUntil(const std::string& sweep, absl::Duration timeout,
                  const std::function<bool(const v1::WatchSweepResponse&)>& done);
  // Waits until some job of the sweep runs at `step` or beyond.
  bool AwaitStep(const std::string& sweep, uint32_t step,
                 absl::Duration timeout = absl::Seconds(60));
  // Waits until every job of the sweep has ended. Survives restarts of the coordinator.
  bool AwaitEnd(const std::string& sweep, absl::Duration timeout = absl::Seconds(180));

  v1::GetSweepResponse Sweep(const std::string& name);
  std::vector<v1::Job> Jobs(const std::string& sweep);
  v1::GetJobResponse Job(uint64_t id);
  // "task/depth/seed step name" -> value with every digit, without metrics that measure time
  // (sequences_per_second, probe_seconds).
  std::map<std::string, std::string> Metrics(const std::string& sweep);

 private:
  std::unique_ptr<v1::SweepService::Stub> Stub();

  testing::TempDir dir_;
  const std::string access_;  // access file of its clients and workers
  std::string address_;
  std::unique_ptr<testing::Subprocess> coordinator_;
  std::map<std::string, std::unique_ptr<testing::Subprocess>> workers_;
};

// Pids of live trainers below `worker`.
std::vector<pid_t> TrainersOf(pid_t worker);

// Waits for a file to appear (inotify); false on a timeout.
bool AwaitFile(const std::string& path, absl::Duration timeout);

}  // namespace coppice::e2e

#endif  // COPPICE_TESTS_E2E_CLUSTER_H_

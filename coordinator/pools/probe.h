// A job that looks at a node, for `coppice pool check --probe`.
#ifndef COPPICE_COORDINATOR_POOLS_PROBE_H_
#define COPPICE_COORDINATOR_POOLS_PROBE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "coordinator/pools/batch_system.h"
#include "coordinator/pools/pool.h"

namespace coppice::pools {

inline constexpr absl::Duration kProbeWait = absl::Minutes(2);
inline constexpr absl::Duration kLongestProbeWait = absl::Minutes(10);
// From its start a probe's job has so long until its last report.
inline constexpr absl::Duration kProbeRun = absl::Seconds(120);

struct Finding {
  enum class Level { kOk, kWarning, kFailed };
  Level level = Level::kOk;
  std::string topic;  // one word
  std::string text;   // with the remedy, unless it is kOk
};

// The report of the job's program, over the network.
struct NodeReport {
  std::string key;  // of the probe
  std::string node;
  std::vector<Finding> findings;
  bool wrote_file = false;  // the node's file is in the checkpoint folder (probe_file.h)
  bool last = false;
};

struct NodeReportAnswer {
  std::string store_id;
  int64_t now_ms = 0;
};

struct ProbeContext {
  Clock* clock = nullptr;
  BatchSystem* batch = nullptr;
  std::string store_id;
  std::string checkpoint_root;  // empty: there is none
  // Runs a closure on the owner's thread, or never once the owner has ended; from any thread.
  std::function<void(std::function<void()>)> post;
  // Runs a closure on a thread that may hang in a disk.
  std::function<void(std::function<void()>)> disk;
};

// Purpose: submits one job that runs `coppice-worker check-node`, and gathers what it finds.
//   1. The coordinator's file is written into the checkpoint folder; the job is submitted.
//   2. The queue is asked every two seconds. A job that does not start in time is cancelled.
//   3. The node reports over the network, at first that it is there. What it could not report is
//      quoted from the job's output.
//   4. The file is removed, and `done` gets the findings. A job that still runs ends by its time
//      limit of two minutes.
// Owner: shared by its callbacks, and by the loop until `done`. Threads: the owner's alone.
// Durability: none. A coordinator that ends meanwhile leaves the job to its time limit.
class Probe : public std::enable_shared_from_this<Probe> {
 public:
  using Done = std::function<void(std::vector<Finding>)>;
  Probe(ProbeContext context, PoolSpec spec, std::string key, absl::Duration wait, Done done);

  void Start();
  // Calls back with the answer for the node.
  void TakeReport(NodeReport report, std::function<void(NodeReportAnswer)> done);

  // The owner ends: `done` is dropped, and nothing more is done.
  void Drop() { done_ = nullptr; }

  const std::string& pool() const { return spec_.name; }

 private:
  // Wraps a callback so that it runs on the owner's thread.
  template <typename F>
  auto Bind(F callback) {
    return [self = shared_from_this(), callback = std::move(callback)](auto... arguments) {
      self->context_.post(
          [self, callback, arguments...]() mutable { callback(std::move(arguments)...); });
    };
  }
  void Submit();
  void Wait();
  void Poll();
  void Take(const std::vector<Job>& jobs);
  void NoteStart();
  void GiveUpWaiting();
  void Ended(const Job& job);
  void LookForFile(int tries, std::function<void()> then);
  void Add(Finding::Level level, std::string topic, std::string text);
  void Finish();

  const ProbeContext context_;
  const PoolSpec spec_;
  const std::string key_;
  const absl::Duration wait_;
  Done done_;  // null once called
  std::vector<Finding> findings_;
  std::string job_id_, reason_, trouble_, node_;
  absl::Duration begun_, started_;
  bool wrote_file_ = false;
  bool running_ = false, ended_ = false, reported_ = false;
};

// "1a2b3c4d-low-probe-x9f...": no submission of a pool has such a key.
std::string ProbeKey(absl::string_view store_id, absl::string_view pool);

}  // namespace coppice::pools

#endif  // COPPICE_COORDINATOR_POOLS_PROBE_H_

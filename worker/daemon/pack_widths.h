#ifndef COPPICE_WORKER_DAEMON_PACK_WIDTHS_H_
#define COPPICE_WORKER_DAEMON_PACK_WIDTHS_H_

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "worker/daemon/granted_run.h"
#include "worker/daemon/sequence.h"
#include "worker/daemon/width_cache.h"
#include "worker/daemon/width_reader.h"
#include "worker/program/process_launcher.h"

namespace coppice::worker {

struct PackWidthsConfig {
  std::string trainer;   // path of the program
  uint32_t threads = 1;  // of each trainer
  std::string device = "auto";
  uint32_t widest = 32;
  std::string machine;    // key of the devices in the cache
  std::string runs_dir;   // specs of measurements; absolute
  std::string cache_dir;  // results; absolute
  // The trainer's time to measure, once it has data.
  absl::Duration limit = absl::Seconds(10);
  // Time from its start to SIGKILL: after it, the trainer counts as hung.
  absl::Duration patience = absl::Minutes(3);
};

// Purpose: knows the number of jobs of a kind that one trainer of this worker should train at once.
// Owner: the Agent. It lives on the agent's sequence.
// An unknown kind goes through these stages:
//   1. The cache on disk is read.
//   2. `coppice-trainer measure` runs, one process at a time, so that no two disturb each other.
//   3. The narrowest width that is nearly the fastest is the answer for the life of this object,
//      and the result goes to the cache.
// Failures: if a measurement fails or hangs, the widths that it has reported so far decide; without
// any, packs have width one, which always trains, only perhaps more slowly. The failure is logged
// once. Its answer holds for the life of this object and is not cached.
// Durability: the cache's; it may be lost at any time.
class PackWidths {
 public:
  using Id = uint64_t;

  PackWidths(const Environment* environment, PackWidthsConfig config);
  // Ends the measurement that runs.
  ~PackWidths();
  PackWidths(const PackWidths&) = delete;
  PackWidths& operator=(const PackWidths&) = delete;

  // Calls `done` once with the best width for packs of this run, never before Find returns, and not
  // after Cancel. `gpu` is the CUDA_VISIBLE_DEVICES of the slot that asks; empty: this process's.
  Id Find(const GrantedRun& run, std::function<void(uint32_t width)> done, std::string gpu = "");
  // A measurement that no request waits for any more ends at once.
  void Cancel(Id id);

 private:
  struct Request {
    Id id = 0;
    GrantedRun run;
    std::function<void(uint32_t)> done;
    std::string gpu;
  };
  // The measurement that runs, from Begin to End.
  struct Measurement {
    Measurement(const Environment* environment, std::string kind, uint32_t widest)
        : kind(std::move(kind)), reader(widest), patience(environment) {}

    const std::string kind;
    std::string name;                  // for people
    std::string gpu;                   // of the slot that asked first
    std::unique_ptr<Process> process;  // null before its launch
    WidthReader reader;
    std::string trouble;  // why it failed; empty: it has not
    std::string last_words;
    bool unwanted = false;
    Timer patience;
  };

  // Answers the requests whose kind is known, then begins with the first of the others.
  void Serve();
  void Begin(const Request& request);
  void OnCacheRead(const std::string& spec, absl::Status spec_written,
                   std::optional<std::vector<MeasuredWidth>> cached);
  void Launch(const std::string& spec);
  void OnStdout(const std::string& bytes);
  void OnExit(const ProcessExit& exit);
  void Keep(const std::vector<MeasuredWidth>& measured);
  void End();
  // Sets the width of the present kind from now on.
  void Learn(uint32_t width);
  bool Wanted(const std::string& kind) const;
  std::string SpecJson(const GrantedRun& run) const;
  WidthKey KeyOf(const std::string& kind) const;

  const Environment* const environment_;
  const PackWidthsConfig config_;
  CallbackOwner callbacks_;
  Id last_id_ = 0;
  uint64_t last_spec_ = 0;
  std::list<Request> waiting_;
  std::map<std::string, uint32_t> known_;  // by kind
  std::unique_ptr<Measurement> now_;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_PACK_WIDTHS_H_

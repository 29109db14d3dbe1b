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
#include "worker/daemon/process_launcher.h"
#include "worker/daemon/sequence.h"
#include "worker/daemon/width_cache.h"
#include "worker/daemon/width_reader.h"

namespace coppice::worker {

struct PackWidthsConfig {
  std::string trainer;   // path of the program
  uint32_t threads = 1;  // of each trainer
  std::string device = "auto";
  uint32_t widest = 32;
  std::string machine;    // what the cache tells devices apart by
  std::string runs_dir;   // the spec of what is measured; absolute, as is the next
  std::string cache_dir;  // what was measured
  // For the trainer to measure in, once it has data.
  absl::Duration limit = absl::Seconds(10);
  // From its start to SIGKILL: it hangs then.
  absl::Duration patience = absl::Minutes(3);
};

// Purpose: knows how many jobs of a kind one trainer of this worker should train at once. Owned by
// the Agent; lives on its sequence. An unknown kind goes through these stages:
//   1. the cache on disk is asked;
//   2. `coppice-trainer measure` runs: one at a time, so that no two measure each other;
//   3. the narrowest width that is nearly the fastest is the answer, for as long as this object
//   lives, and what was measured goes to the cache.
// Failures: a measurement that fails or hangs leaves what it said before, or packs of one: those
// always train, only perhaps slower. That is said once, holds as long as this object lives, and is
// not cached. Durability: the cache's; it may be lost at any time.
class PackWidths {
 public:
  using Id = uint64_t;

  PackWidths(const Environment* environment, PackWidthsConfig config);
  // Ends what is being measured.
  ~PackWidths();
  PackWidths(const PackWidths&) = delete;
  PackWidths& operator=(const PackWidths&) = delete;

  // The best width for packs of this run comes once, never before this returns, unless cancelled.
  Id Find(const GrantedRun& run, std::function<void(uint32_t width)> done);
  // A measurement that nobody waits for any more is ended at once.
  void Cancel(Id id);

 private:
  struct Request {
    Id id = 0;
    GrantedRun run;
    std::function<void(uint32_t)> done;
  };
  // Between Begin and End, what is found out now.
  struct Measurement {
    Measurement(const Environment* environment, std::string kind, uint32_t widest)
        : kind(std::move(kind)), reader(widest), patience(environment) {}

    const std::string kind;
    std::string name;                  // for people
    std::unique_ptr<Process> process;  // once it is launched
    WidthReader reader;
    std::string trouble;  // what was wrong with it; empty: nothing
    std::string last_words;
    bool unwanted = false;
    Timer patience;
  };

  // Answers those whose kind is known; then looks into the first of the others.
  void Serve();
  void Begin(const Request& request);
  void OnCacheRead(const std::string& spec, absl::Status spec_written,
                   std::optional<std::vector<MeasuredWidth>> cached);
  void Launch(const std::string& spec);
  void OnStdout(const std::string& bytes);
  void OnExit(const ProcessExit& exit);
  void Keep(const std::vector<MeasuredWidth>& measured);
  void End();
  // For the present kind, from now on.
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

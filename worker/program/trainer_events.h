// The reader's side of docs/trainer-protocol.md: checks a trainer's output.
#ifndef COPPICE_WORKER_PROGRAM_TRAINER_EVENTS_H_
#define COPPICE_WORKER_PROGRAM_TRAINER_EVENTS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/base/failure_kind.h"
#include "nlohmann/json_fwd.hpp"

namespace coppice::worker {

struct TrainerStart {
  std::string provenance;                              // JSON object
  std::vector<std::pair<uint32_t, uint32_t>> members;  // seed, step
};
struct TrainerProgress {
  std::vector<std::pair<uint32_t, uint32_t>> members;  // seed, step
  double steps_per_second = 0;
  // Counts work between steps, such as the batches of an evaluation. nullopt: not reported.
  std::optional<uint64_t> activity;
};
struct TrainerMetrics {
  uint32_t seed = 0;
  uint32_t step = 0;
  std::vector<std::pair<std::string, double>> values;
};
struct TrainerCheckpoint {
  uint32_t seed = 0;
  uint32_t step = 0;
  std::string file;    // relative to the member's checkpoint folder
  std::string digest;  // empty for a program's: its worker makes it
  uint64_t bytes = 0;
  // The time that training stood still for the checkpoint, and the time that its writing took. 0:
  // not reported.
  double stall_ms = 0;
  double write_ms = 0;
};
struct TrainerDone {
  uint32_t seed = 0;
  uint32_t step = 0;
};
struct TrainerFailed {
  uint32_t seed = 0;
  uint32_t step = 0;
  FailureKind kind = FailureKind::kInternal;
  std::string message;
};
struct TrainerPreempted {
  uint32_t seed = 0;
  uint32_t step = 0;
};
// The trainer has read its run spec and cannot train it. It ends with kTrainerExitUsage.
struct TrainerRefused {
  std::string message;
};
using TrainerEvent = std::variant<TrainerStart, TrainerProgress, TrainerMetrics, TrainerCheckpoint,
                                  TrainerDone, TrainerFailed, TrainerPreempted, TrainerRefused>;

// Splits a trainer's stdout into lines and each line into an event, and checks every field against
// this pack: seeds that it has, steps that do not go backwards or beyond the end, finite numbers,
// checkpoints inside the member's folder, `done` only after the last checkpoint. A program of the
// user's own (docs/programs.md) is held to its report steps too: it misses none, adds none, and has
// reported all up to a checkpoint before that. An event of an unknown name is skipped. Any other
// fault is an error, after which the trainer's output is no longer trusted. Owner: a PackRun. Not
// thread-safe. Pure: no clock, no files.
class TrainerEventReader {
 public:
  static constexpr size_t kMaxLineBytes = 1 << 20;
  static constexpr size_t kMaxValues = 1000;  // in one metrics event

  struct Member {
    uint32_t seed = 0;
    uint32_t start_step = 0;
    std::string checkpoint_dir;  // absolute, as in the run spec
  };
  // `program_report_every`: 0 for Coppice's own trainer, else the interval of the program's
  // reports.
  TrainerEventReader(std::vector<Member> members, uint32_t steps,
                     uint32_t program_report_every = 0);

  // Appends the events that `bytes` completes. INVALID_ARGUMENT names the fault and quotes the
  // line, shortened; every later call returns the same error.
  absl::Status Feed(absl::string_view bytes, std::vector<TrainerEvent>* events);
  // The name of the event that Feed's error is about, or that it misses; empty: the line is no
  // event.
  const std::string& faulty_event() const { return faulty_event_; }
  // The size of the line that has not ended yet.
  size_t pending_bytes() const { return line_.size(); }

 private:
  struct MemberState {
    std::string checkpoint_dir;
    uint32_t start_step = 0;
    int64_t progress_step = 0;
    int64_t metrics_step = -1;
    int64_t checkpoint_step = -1;
    std::set<std::string> checkpoint_files;  // those that a program has named
    bool ended = false;
  };
  using Json = nlohmann::json;

  absl::Status ReadLine(absl::string_view line, std::vector<TrainerEvent>* events);
  absl::Status ReadEvent(const std::string& name, const Json& json,
                         std::vector<TrainerEvent>* events);
  absl::Status ReadStart(const Json& json, TrainerStart* event);
  absl::Status ReadProgress(const Json& json, TrainerProgress* event);
  absl::Status ReadMetrics(const Json& json, TrainerMetrics* event);
  absl::Status ReadCheckpoint(const Json& json, TrainerCheckpoint* event);
  absl::Status ReadDone(const Json& json, TrainerDone* event);
  absl::Status ReadFailed(const Json& json, TrainerFailed* event);
  absl::Status ReadPreempted(const Json& json, TrainerPreempted* event);
  absl::Status ReadRefused(const Json& json, TrainerRefused* event);
  // Reads the member and step that an event names. `member` is one that has not ended.
  absl::Status ReadSeedAndStep(const Json& json, uint32_t* seed, uint32_t* step,
                               MemberState** member);
  absl::Status ReadMemberSteps(const Json& json,
                               std::vector<std::pair<uint32_t, uint32_t>>* members) const;

  bool is_program() const { return program_report_every_ > 0; }
  const char* Name() const { return is_program() ? "program" : "trainer"; }
  // The first report step after `step`.
  uint32_t NextReport(int64_t step) const;
  absl::Status CheckReportStep(uint32_t step, const MemberState& member) const;

  const uint32_t steps_;
  const uint32_t program_report_every_;
  std::map<uint32_t, MemberState> members_;  // by seed
  bool started_ = false;
  std::string line_;
  absl::Status error_;
  std::string faulty_event_;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_PROGRAM_TRAINER_EVENTS_H_

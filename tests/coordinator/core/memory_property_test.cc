// The property behind every restart: memory after any commits is the memory that recovery builds
// from the database. Random histories of commands are checked after each batch. A failure prints
// its seed, the commands of the batch and the facts that differ.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/planner.h"
#include "tests/coordinator/core/memory_history.h"
#include "tests/coordinator/core/word_reader.h"

namespace coppice::core {
namespace {

constexpr int kBatches = 150;
constexpr int kMostCommandsABatch = 6;
constexpr uint32_t kSteps = 100;
constexpr size_t kMostSweeps = 8;

class RandomHistory : public MemoryHistory {
 public:
  using MemoryHistory::MemoryHistory;

  // Runs the history. False: memory and database differ, and the failure is reported.
  bool Run() {
    for (int batch = 0; batch < kBatches; ++batch) {
      SCOPED_TRACE(absl::StrCat("batch ", batch));
      for (int i = Below(kMostCommandsABatch); i >= 0; --i) AddCommand();
      RunBatch();
      if (!MemoryIsAsRebuilt()) return false;
      if (OneIn(3)) Grant();
      if (!MemoryIsAsRebuilt()) return false;
      if (OneIn(2)) clock_->Advance(absl::Milliseconds(Below(8000)));
      if (OneIn(8) && !Extend()) return false;
      if (OneIn(25)) Expire();
      if (OneIn(25)) Restart();
      if (!MemoryIsAsRebuilt()) return false;
    }
    return true;
  }

 private:
  void AddCommand() {
    using Action = void (RandomHistory::*)();
    static const std::pair<Action, int> kActions[] = {
        {&RandomHistory::AddSubmit, 2},   {&RandomHistory::AddSubmitPart, 6},
        {&RandomHistory::AddTakeBack, 3}, {&RandomHistory::AddRegister, 4},
        {&RandomHistory::AddAcquire, 14}, {&RandomHistory::AddHeartbeat, 8},
        {&RandomHistory::AddRows, 10},    {&RandomHistory::AddCommit, 8},
        {&RandomHistory::AddReject, 3},   {&RandomHistory::AddComplete, 4},
        {&RandomHistory::AddFail, 5},     {&RandomHistory::AddRelease, 6},
        {&RandomHistory::AddCancel, 2},   {&RandomHistory::AddRetry, 3},
        {&RandomHistory::AddPause, 3},    {&RandomHistory::AddDrain, 2},
        {&RandomHistory::AddLeave, 2},    {&RandomHistory::AddForget, 2},
        {&RandomHistory::AddDelete, 4},   {&RandomHistory::AddDeletePart, 3},
    };
    int total = 0;
    for (const auto& [action, weight] : kActions) total += weight;
    int at = Below(total);
    for (const auto& [action, weight] : kActions) {
      if ((at -= weight) >= 0) continue;
      (this->*action)();
      return;
    }
  }

  void AddGroup(SweepSpec& spec) {
    GroupSpec group;
    group.task = OneIn(2) ? "dyck" : "question";
    group.depth = static_cast<uint32_t>(spec.groups.size()) + 1;
    group.run_json = absl::StrCat("depth=", group.depth);
    group.steps = kSteps;
    group.report_every = 10;
    group.checkpoint_every = 20;
    group.work_per_step = 1 + Below(5);
    spec.groups.push_back(group);
  }

  void AddSubmit() {
    if (sweeps_.size() - deleted_ >= kMostSweeps) return;
    SweepSpec spec;
    spec.name = absl::StrCat("sweep-", sweeps_.size());
    spec.priority = Below(3);
    for (int i = Below(3); i >= 0; --i) AddGroup(spec);
    for (int i = Below(6); i >= 0; --i) spec.seeds.push_back(static_cast<uint32_t>(i));
    spec.spec_blob = absl::StrCat("seeds=", absl::StrJoin(spec.seeds, ","));
    specs_[spec.name] = spec;
    Submission submission;
    submission.plan = MakePlan(spec, 0);
    sweeps_.push_back(spec.name);
    submission.spec = std::make_shared<const SweepSpec>(std::move(spec));
    Add("submit", [this, submission](CommandContext& tx) -> absl::Status {
      auto step = BeginSubmit(tx, submission);
      if (step.ok() && !step->result.has_value() && step->begun.has_value()) {
        submissions_.push_back({*step->begun, step->inserted});
      }
      return step.status();
    });
  }

  // Makes a sweep larger in one way, or in several.
  SweepSpec Larger(const std::string& name) {
    SweepSpec spec = specs_[name];
    if (OneIn(2)) spec.seeds.push_back(static_cast<uint32_t>(spec.seeds.size()) + 10);
    if (OneIn(3)) AddGroup(spec);
    if (OneIn(3)) spec.priority = Below(4);
    if (OneIn(3)) spec.max_failures = static_cast<uint32_t>(1 + Below(5));
    for (GroupSpec& group : spec.groups) {
      if (OneIn(2)) group.steps += static_cast<uint32_t>(1 + Below(30));
      if (OneIn(4)) group.run_json = absl::StrCat("depth=", group.depth, " lr=", Below(3));
    }
    spec.spec_blob = absl::StrCat("seeds=", absl::StrJoin(spec.seeds, ","));
    return spec;
  }

  // Each command has a batch of its own, at whose end it runs (writer.h). False: memory and
  // database differ.
  bool Extend() {
    if (sweeps_.empty() || memory_->catalog.FindSweep(AnyOf(sweeps_)) == nullptr) return true;
    ExtendRequest request;
    request.spec = Larger(AnyOf(sweeps_));
    request.reader = std::make_shared<const WordReader>();
    ExtensionPlan plan;
    const absl::Status planned = store_->Read([&](ReadTransaction& read) -> absl::Status {
      auto made = PlanExtension(read, request);
      if (made.ok()) plan = *std::move(made);
      return made.status();
    });
    if (!planned.ok() || !plan.extension.refused.empty()) return true;
    JobId next_after = 0;
    Add("extend", [&](CommandContext& tx) -> absl::Status {
      const auto step = BeginExtend(tx, Caller(), request.spec.spec_blob, plan);
      if (step.ok()) next_after = step->next_after;
      return step.status();
    });
    RunBatch();
    if (names_.back() != "extend") return true;
    specs_[request.spec.name] = request.spec;
    return MemoryIsAsRebuilt() && Follow(plan.sweep.id, next_after);
  }

  bool Follow(SweepId sweep, JobId next_after) {
    while (next_after != 0) {
      if (OneIn(4)) {
        Restart();
        if (memory_->continuing.empty()) ADD_FAILURE() << "the restart forgot an extension";
        next_after = 0;
      }
      Add("extend a part", [&](CommandContext& tx) -> absl::Status {
        const auto step = ContinueExtend(tx, sweep, next_after);
        if (step.ok()) next_after = step->next_after;
        return step.status();
      });
      RunBatch();
      if (!MemoryIsAsRebuilt()) return false;
      if (OneIn(3)) Grant();
    }
    return true;
  }

  void AddSubmitPart() {
    if (submissions_.empty()) return;
    if (OneIn(6)) {  // the store refused a part
      leftovers_.push_back(submissions_.back().submission.sweep.id);
      submissions_.pop_back();
      return;
    }
    const Running running = submissions_.back();
    submissions_.pop_back();
    Add("submit a part", [this, running](CommandContext& tx) -> absl::Status {
      auto step = ContinueSubmit(tx, running.submission, running.inserted);
      if (step.ok() && !step->result.has_value()) {
        submissions_.push_back({running.submission, step->inserted});
      }
      return step.status();
    });
  }

  void AddTakeBack() {
    if (leftovers_.empty()) return;
    const SweepId id = leftovers_.back();
    leftovers_.pop_back();
    Add("take back", [this, id](CommandContext& tx) -> absl::Status {
      const auto gone = TakeBackSubmit(tx, id);
      if (gone.ok() && !*gone) leftovers_.push_back(id);
      return gone.status();
    });
  }

  void AddRegister() {
    WorkerInfo info;
    info.name = absl::StrCat("w", Below(5));
    info.instance = absl::StrCat("i", Below(3));
    info.host = absl::StrCat("host", Below(2));
    info.slots = 2;
    info.pack_width = 4;
    info.device = OneIn(2) ? "cpu" : "cuda";
    if (OneIn(2)) info.allocation.job_id = absl::StrCat(Below(3));
    std::vector<HeldLease> held;
    for (const LeaseEntry& lease : memory_->leases.OfWorker(info.name)) {
      if (OneIn(2)) held.push_back({lease.ref, lease.stored_step});
    }
    const std::string id = absl::StrCat("id-", ++ids_);
    uint64_t& incarnation = incarnations_[info.name + info.instance];
    Add("register", [info, held, id, &incarnation](CommandContext& tx) mutable -> absl::Status {
      info.incarnation = incarnation;
      auto answer = RegisterWorker(tx, info, held, id);
      if (answer.ok() && answer->confirm) {
        info.incarnation = incarnation = answer->incarnation;
        answer = RegisterWorker(tx, info, held, id);
      }
      return answer.status();
    });
  }

  void AddAcquire() {
    const auto workers = memory_->workers.All();
    if (workers.empty()) return;
    AcquireRequest request;
    request.worker_id = AnyOf(workers)->row.id;
    request.request_id = absl::StrCat("r-", OneIn(5) ? ids_ : ++ids_);
    request.pack_width = 1 + static_cast<uint32_t>(Below(4));
    request.measures = OneIn(3);
    request.wait_ms = 600'000;
    Add("acquire", [request](CommandContext& tx) {
      return AcquireLeases(tx, request, {}, [](absl::StatusOr<LeaseGrant>) {}).status();
    });
  }

  void AddHeartbeat() {
    const auto workers = memory_->workers.All();
    if (workers.empty()) return;
    const WorkerRow row = AnyOf(workers)->row;
    std::vector<HeldLease> held;
    for (const LeaseEntry& lease : memory_->leases.OfWorker(row.info.name)) {
      if (!OneIn(5)) held.push_back({lease.ref, lease.stored_step, 3.5, 0, 0, 60'000});
    }
    BeatState state;
    state.draining = OneIn(8);
    state.ends_ms = OneIn(4) ? 1000 * (1 + Below(3)) : row.info.ends_ms;
    state.idle_slots = static_cast<uint32_t>(Below(3));
    Add("heartbeat", [id = row.id, held, state](CommandContext& tx) {
      return TakeHeartbeat(tx, id, held, state).status();
    });
  }

  void AddLeave() {
    const auto workers = memory_->workers.All();
    if (workers.empty()) return;
    Add("leave", [id = AnyOf(workers)->row.id](CommandContext& tx) {
      return LeaveWorker(tx, {id, ExitReason::kPreempted, "SIGTERM"});
    });
  }

  void AddForget() {
    Add("forget", [name = absl::StrCat("w", Below(5))](CommandContext& tx) {
      return ForgetWorker(tx, Caller(), name).status();
    });
  }

  // Calls `make` with a random lease and the id of its worker.
  void WithLease(const std::function<void(const LeaseRef&, const std::string&)>& make) {
    const auto leases = memory_->leases.All();
    if (leases.empty()) return;
    const LeaseEntry& lease = AnyOf(leases);
    const WorkerEntry* worker = memory_->workers.FindByName(lease.worker);
    if (worker != nullptr) make(lease.ref, worker->row.id);
  }

  // Appends records of one attempt with the numbers that are due.
  static absl::Status Append(CommandContext& tx, const std::string& id, const LeaseRef& lease,
                             std::vector<RecordContent> contents) {
    const auto attempt = tx.read().GetAttempt(lease.job_id, lease.attempt);
    if (!attempt.ok()) return attempt.status();
    std::vector<Record> records;
    for (RecordContent& content : contents) {
      records.push_back({lease, attempt->last_sequence + 1 + records.size(), std::move(content)});
    }
    return AppendRecords(tx, id, records).status();  // a refusal keeps what came before it
  }

  // The rows that the attempt has not reported, up to `rows` of them.
  static std::vector<RecordContent> RowsOf(CommandContext& tx, const LeaseRef& lease,
                                           uint32_t rows) {
    std::vector<RecordContent> contents;
    const auto attempt = tx.read().GetAttempt(lease.job_id, lease.attempt);
    for (uint32_t i = 0; attempt.ok() && i < rows; ++i) {
      uint32_t step = attempt->row_step / 10 * 10 + 10 * (i + 1);
      if (step >= attempt->steps + 10 || attempt->row_step == attempt->steps) break;
      step = std::min(step, attempt->steps);
      contents.push_back(MetricRow{step, {{"loss", 0.5}}});
    }
    return contents;
  }

  static RecordContent CheckpointAt(CommandContext& tx, const LeaseRef& lease, uint32_t step) {
    const auto job = tx.read().GetJob(lease.job_id);
    const auto group = tx.memory().catalog.Group(job.ok() ? job->group_id : 0);
    const std::string sweep = group == nullptr ? "gone" : group->sweep->name;
    return CheckpointRecord{
        step, absl::StrCat(CheckpointDir(sweep, lease), "/step-", step, ".safetensors"),
        std::string(32, 'a'), 7};
  }

  void AddRows() {
    WithLease([&](const LeaseRef& lease, const std::string& id) {
      Add("rows", [lease, id, rows = static_cast<uint32_t>(1 + Below(4))](CommandContext& tx) {
        return Append(tx, id, lease, RowsOf(tx, lease, rows));
      });
    });
  }

  // Commits a checkpoint at the last reported step.
  void AddCommit() {
    WithLease([&](const LeaseRef& lease, const std::string& id) {
      Add("commit", [lease, id](CommandContext& tx) {
        const auto attempt = tx.read().GetAttempt(lease.job_id, lease.attempt);
        if (!attempt.ok()) return attempt.status();
        return Append(tx, id, lease, {CheckpointAt(tx, lease, attempt->row_step)});
      });
    });
  }

  void AddReject() {
    WithLease([&](const LeaseRef& lease, const std::string& id) {
      Add("reject", [lease, id](CommandContext& tx) -> absl::Status {
        const auto listed = tx.read().ListCheckpoints(lease.job_id, CheckpointState::kListed);
        if (!listed.ok()) return listed.status();
        if (listed->empty()) return absl::NotFoundError("no checkpoint");
        NamedCheckpoint bad;
        bad.worker_id = id;
        bad.lease = lease;
        bad.step = listed->front().step;
        bad.path = listed->front().path;
        return RejectCheckpoint(tx, bad, "its digest is wrong").status();
      });
    });
  }

  void AddComplete() {
    WithLease([&](const LeaseRef& lease, const std::string& id) {
      Add("complete", [lease, id](CommandContext& tx) {
        const auto attempt = tx.read().GetAttempt(lease.job_id, lease.attempt);
        if (!attempt.ok()) return attempt.status();
        std::vector<RecordContent> contents = RowsOf(tx, lease, attempt->steps);
        contents.push_back(CheckpointAt(tx, lease, attempt->steps));
        contents.push_back(Completion{attempt->steps});
        return Append(tx, id, lease, std::move(contents));
      });
    });
  }

  void AddFail() {
    using enum FailureKind;
    static constexpr FailureKind kKinds[] = {kNan,  kData,    kRefused, kOutOfMemory,
                                             kDisk, kCrashed, kStalled, kInternal};
    WithLease([&](const LeaseRef& lease, const std::string& id) {
      const Failure failure{static_cast<uint32_t>(Below(3)) * 10, kKinds[Below(std::size(kKinds))],
                            ""};
      Add(absl::StrCat("fail as ", FailureKindText(failure.kind)),
          [lease, id, failure](CommandContext& tx) { return Append(tx, id, lease, {failure}); });
    });
  }

  void AddRelease() {
    const std::pair<const char*, Release::Cause> causes[] = {
        {"release as lost", Release::Lost{}},
        {"release as too wide", Release::TooWide{4}},
        {"release as measured", Release::Measured{3}},
        {"release untrained", Release::Untrained{}},
        {"release", Release::Preempted{}}};
    WithLease([&](const LeaseRef& lease, const std::string& id) {
      const auto& [name, cause] = causes[Below(std::size(causes))];
      const Release release{0, "", cause};
      Add(name,
          [lease, id, release](CommandContext& tx) { return Append(tx, id, lease, {release}); });
    });
  }

  JobFilter SomeJobs() {
    JobFilter filter;
    filter.sweep = AnyOf(sweeps_);
    if (OneIn(2)) filter.seeds = {static_cast<uint32_t>(Below(4))};
    return filter;
  }

  void AddCancel() {
    if (sweeps_.empty()) return;
    Add("cancel", [filter = SomeJobs()](CommandContext& tx) {
      return CancelPart(tx, Caller(), filter, 0).status();
    });
  }

  void AddRetry() {
    if (sweeps_.empty()) return;
    Add("retry", [filter = SomeJobs()](CommandContext& tx) {
      return RetryPart(tx, Caller(), filter, 0).status();
    });
  }

  void AddDelete() {
    if (sweeps_.empty()) return;
    JobFilter whole;
    whole.sweep = AnyOf(sweeps_);
    if (OneIn(3))
      Add("cancel", [=](CommandContext& tx) { return CancelPart(tx, {}, whole, 0).status(); });
    Add("delete", [this, whole](CommandContext& tx) -> absl::Status {
      const auto deleted = MarkDeleted(tx, Caller(), {whole.sweep});
      if (deleted.ok()) ++deleted_;
      return deleted.status();
    });
  }

  void AddPause() {
    if (sweeps_.empty()) return;
    const bool paused = OneIn(3);
    Add(paused ? "pause" : "resume", [name = AnyOf(sweeps_), paused](CommandContext& tx) {
      return SetSweepPaused(tx, Caller(), name, paused).status();
    });
  }

  void AddDrain() {
    const bool undo = !OneIn(3);
    Add(undo ? "end of drain" : "drain",
        [name = absl::StrCat("w", Below(5)), preempt = OneIn(2), undo](CommandContext& tx) {
          return DrainWorker(tx, Caller(), name, preempt, undo).status();
        });
  }

  std::vector<std::string> sweeps_;
  std::map<std::string, SweepSpec> specs_;  // by name
  std::map<std::string, uint64_t> incarnations_;
  uint64_t ids_ = 0;
  size_t deleted_ = 0;  // of the sweeps
};

TEST(MemoryProperty, MemoryAfterCommitsIsMemoryRebuiltFromTheDatabase) {
  constexpr uint64_t kHistories = 30;
  std::map<std::string, int> succeeded;
  for (uint64_t seed = 1; seed <= kHistories; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    RandomHistory history(seed);
    ASSERT_TRUE(history.Run());
    for (const auto& [name, count] : history.succeeded()) succeeded[name] += count;
  }
  // A history proves nothing about a command that it never carries out.
  for (const char* name : {"submit",
                           "submit a part",
                           "take back",
                           "extend",
                           "extend a part",
                           "register",
                           "acquire",
                           "grant",
                           "heartbeat",
                           "rows",
                           "commit",
                           "reject",
                           "complete",
                           "fail as nan",
                           "fail as data",
                           "fail as refused",
                           "fail as out_of_memory",
                           "fail as disk",
                           "fail as crashed",
                           "fail as stalled",
                           "fail as internal",
                           "release",
                           "release as lost",
                           "release as too wide",
                           "release as measured",
                           "release untrained",
                           "expire",
                           "cancel",
                           "retry",
                           "pause",
                           "resume",
                           "drain",
                           "end of drain",
                           "leave",
                           "forget",
                           "delete",
                           "delete a part"}) {
    EXPECT_GE(succeeded[name], 10) << name;
  }
}

}  // namespace
}  // namespace coppice::core

#ifndef COPPICE_TESTS_COORDINATOR_CORE_HARNESS_H_
#define COPPICE_TESTS_COORDINATOR_CORE_HARNESS_H_

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "common/base/ids.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/core/store.h"
#include "coordinator/store/sqlite_store.h"
#include "tests/testing/fake_clock.h"

namespace coppice::core {

// Time that a test waits for an answer before it fails. No passing test waits that long.
inline constexpr absl::Duration kPatience = absl::Seconds(30);

// A Done whose result a test can wait for.
template <typename T>
class Answer {
 public:
  std::function<void(absl::StatusOr<T>)> done() {
    return [state = state_](absl::StatusOr<T> result) {
      state->result = std::move(result);
      state->notification.Notify();  // crashes if called twice
    };
  }
  bool ready() const { return state_->notification.HasBeenNotified(); }
  absl::StatusOr<T> Wait() {
    if (!state_->notification.WaitForNotificationWithTimeout(kPatience)) {
      return absl::DeadlineExceededError("the coordinator did not answer");
    }
    return *state_->result;
  }

 private:
  struct State {
    absl::Notification notification;
    std::optional<absl::StatusOr<T>> result;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

// Fails commits on demand, as a full disk would: the body's writes are rolled back.
class FaultyStore : public Store {
 public:
  explicit FaultyStore(Store* inner) : inner_(*inner) {}
  absl::Status RunInTransaction(absl::FunctionRef<absl::Status(WriteTransaction&)> body) override {
    ++transactions;
    if (gate != nullptr) {
      if (!at_gate.HasBeenNotified()) at_gate.Notify();
      gate->WaitForNotification();
    }
    return inner_.RunInTransaction([&](WriteTransaction& tx) -> absl::Status {
      const absl::Status status = body(tx);
      if (!status.ok()) return status;
      return fail_commits ? absl::ResourceExhaustedError("disk full") : absl::OkStatus();
    });
  }
  absl::Status Read(absl::FunctionRef<absl::Status(ReadTransaction&)> body) override {
    return inner_.Read(body);
  }
  std::string store_id() const override { return inner_.store_id(); }

  std::atomic<bool> fail_commits{false};
  std::atomic<int> transactions{0};
  absl::Notification* gate = nullptr;  // set before the coordinator opens: transactions wait for it
  absl::Notification at_gate;          // the first transaction waits at the gate

 private:
  Store& inner_;
};

// A coordinator on a real SQLite file, with a clock that the test advances.
class Harness : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = std::filesystem::temp_directory_path() / absl::StrCat("coppice-core-", RandomId());
    std::filesystem::create_directories(dir_);
    options_.checkpoint_root = dir_ / "checkpoints";
    Open();
  }
  void TearDown() override {
    Close();
    std::filesystem::remove_all(dir_);
  }

  void Open() {
    auto store = store::OpenSqliteStore({dir_ / "coppice.db", 2, 0});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    faulty_ = std::make_unique<FaultyStore>(store_.get());
    auto coordinator = Coordinator::Open(faulty_.get(), &clock_, options_);
    ASSERT_TRUE(coordinator.ok()) << coordinator.status();
    c_ = *std::move(coordinator);
  }
  void Close() {
    c_.reset();
    faulty_.reset();
    store_.reset();
  }
  // Simulates a crash and a restart: only the file survives.
  void Restart() {
    Close();
    Open();
  }

  // -- calls that wait

  template <typename T>
  static absl::StatusOr<T> Ask(const std::function<void(Coordinator::Done<T>)>& call) {
    Answer<T> answer;
    call(answer.done());
    return answer.Wait();
  }
  static absl::Status Do(const std::function<void(Coordinator::DoneStatus)>& call) {
    Answer<int> answer;
    call([done = answer.done()](absl::Status status) {
      if (status.ok()) {
        done(0);
      } else {
        done(status);
      }
    });
    return answer.Wait().status();
  }

  // Also waits until all earlier due work and calls are done.
  std::vector<Worker> Workers() {
    return *Ask<std::vector<Worker>>([&](auto done) { c_->ListWorkers({}, done); });
  }
  void Advance(absl::Duration by) {
    Workers();
    clock_.Advance(by);
    Workers();
  }

  static GroupSpec Group(const std::string& task, uint32_t depth, double work = 1) {
    GroupSpec group;
    group.task = task;
    group.depth = depth;
    group.run_json = absl::StrCat("{\"task\":\"", task, "\",\"depth\":", depth, "}");
    group.steps = 100;
    group.report_every = 10;
    group.checkpoint_every = 20;
    group.work_per_step = work;
    return group;
  }
  static SweepSpec Spec(const std::string& name, std::vector<GroupSpec> groups, uint32_t seeds) {
    SweepSpec spec;
    spec.name = name;
    spec.spec_blob = "blob of " + name;
    spec.groups = std::move(groups);
    for (uint32_t seed = 0; seed < seeds; ++seed) spec.seeds.push_back(seed);
    return spec;
  }
  absl::StatusOr<SubmitResult> Submit(const SweepSpec& spec) {
    return Ask<SubmitResult>([&](auto done) { c_->SubmitSweep({}, spec, 0, done); });
  }
  // Submits a sweep of one group. In a fresh store its job ids start at 1.
  void SubmitSmall(uint32_t seeds) {
    ASSERT_TRUE(Submit(Spec("small", {Group("dyck", 2)}, seeds)).ok());
  }

  // Registers as a worker's process does: it repeats the registration when asked to confirm.
  std::string Register(const std::string& name, const std::string& instance = "i1",
                       std::vector<HeldLease> held = {}, const std::string& host = "") {
    WorkerInfo info;
    info.name = name;
    info.instance = instance;
    info.slots = 1;
    info.host = host;
    uint64_t& incarnation = IncarnationOf(name, instance);
    for (;;) {
      info.incarnation = incarnation;
      const auto result = RegisterOnce(info, held);
      if (!result.ok()) return result.status().ToString();
      if (result->superseded_by.has_value()) {
        return absl::StrCat("superseded by ", result->superseded_by->host);
      }
      incarnation = result->incarnation;
      if (!result->confirm) return result->worker_id;
    }
  }
  // Returns the number that a process remembers. The reference stays valid when others are added.
  uint64_t& IncarnationOf(const std::string& name, const std::string& instance) {
    absl::MutexLock lock(&incarnations_mutex_);
    return incarnations_[{name, instance}];
  }
  absl::StatusOr<Registration> RegisterOnce(const WorkerInfo& info,
                                            std::vector<HeldLease> held = {}) {
    return Ask<Registration>([&](auto done) { c_->Register(info, std::move(held), done); });
  }
  absl::StatusOr<LeaseGrant> Acquire(const std::string& worker_id, uint32_t width,
                                     const std::string& request, uint32_t wait_ms = 0) {
    return Ask<LeaseGrant>([&](auto done) {
      c_->AcquireLeases({worker_id, request, 0, width, wait_ms}, {}, done);
    });
  }
  // Takes one lease, of the first available job.
  LeaseRef TakeOne(const std::string& worker_id, const std::string& request = RandomId()) {
    const auto grant = Acquire(worker_id, 1, request);
    if (!grant.ok() || grant->leases.size() != 1) {
      ADD_FAILURE() << "no lease: " << grant.status();
      return {};
    }
    return grant->leases[0].ref;
  }
  absl::StatusOr<HeartbeatResult> Beat(const std::string& worker_id, std::vector<HeldLease> held,
                                       bool draining = false) {
    return Beat(worker_id, std::move(held), BeatState{draining});
  }
  absl::StatusOr<HeartbeatResult> Beat(const std::string& worker_id, std::vector<HeldLease> held,
                                       BeatState state) {
    return Ask<HeartbeatResult>([&](auto done) { c_->Heartbeat(worker_id, held, state, done); });
  }
  absl::Status Leave(const std::string& worker_id, ExitReason reason, const std::string& why = "") {
    return Do([&](auto done) { c_->Leave({worker_id, reason, why}, done); });
  }
  static HeldLease Held(const LeaseRef& lease, uint32_t step = 0, double rate = 0) {
    return {lease, step, rate, 0};
  }

  JobDetails Details(JobId id) {
    auto details = Ask<JobDetails>([&](auto done) { c_->GetJob({}, id, done); });
    EXPECT_TRUE(details.ok()) << details.status();
    return details.ok() ? *std::move(details) : JobDetails();
  }
  Job GetJob(JobId id) { return Details(id).job; }
  SweepSummary Summary(const std::string& name) {
    auto details = Ask<SweepDetails>([&](auto done) { c_->GetSweep({}, name, done); });
    EXPECT_TRUE(details.ok()) << details.status();
    return details.ok() ? details->summary : SweepSummary();
  }

  // -- reports of a worker

  static Record Row(const LeaseRef& lease, uint64_t number, uint32_t step, double value = 0.5) {
    return {lease, number, MetricRow{step, {{"train_loss", value}}}};
  }
  absl::StatusOr<std::vector<AttemptAnswer>> Append(const std::string& worker_id,
                                                    std::vector<Record> records) {
    return Ask<std::vector<AttemptAnswer>>(
        [&](auto done) { c_->Append(worker_id, std::move(records), done); });
  }
  AttemptAnswer AppendOne(const std::string& worker_id, Record record) {
    const auto answers = Append(worker_id, {std::move(record)});
    EXPECT_TRUE(answers.ok()) << answers.status();
    return answers.ok() && answers->size() == 1 ? (*answers)[0] : AttemptAnswer();
  }
  // Reports rows for every report step in (from, to], with numbers from `number` on (0: the next).
  // Returns the last number.
  uint64_t Report(const std::string& worker_id, const LeaseRef& lease, uint32_t from, uint32_t to,
                  uint64_t number = 0) {
    if (number == 0) number = NextNumber(lease);
    std::vector<Record> records;
    for (uint32_t step = from / 10 * 10 + 10; step <= to; step += 10) {
      records.push_back(Row(lease, number++, step, step / 100.0));
    }
    const auto answers = Append(worker_id, std::move(records));
    EXPECT_TRUE(answers.ok()) << answers.status();
    if (answers.ok() && !answers->empty()) {
      EXPECT_EQ((*answers)[0].number, number - 1) << (*answers)[0].refusal;
    }
    return number - 1;
  }
  // Returns the number of the attempt's next record.
  uint64_t NextNumber(const LeaseRef& lease) {
    uint64_t number = 1;
    const absl::Status read = store_->Read([&](ReadTransaction& tx) {
      const auto attempt = tx.GetAttempt(lease.job_id, lease.attempt);
      if (attempt.ok()) number = attempt->last_sequence + 1;
      return absl::OkStatus();
    });
    EXPECT_EQ(read, absl::OkStatus());
    return number;
  }
  // Appends one record. ABORTED: the attempt was over before it. FAILED_PRECONDITION also stands
  // for a checkpoint that was left out.
  absl::Status Take(const std::string& worker_id, const Record& record) {
    const auto answers = Append(worker_id, {record});
    if (!answers.ok()) return answers.status();
    const AttemptAnswer& answer = answers->at(0);
    if (!answer.refusal.ok()) return answer.refusal;
    if (answer.number < record.number) {
      return answer.over ? absl::AbortedError("over") : absl::InternalError("not taken");
    }
    if (!answer.omissions.empty()) {
      EXPECT_EQ(answer.omissions[0].number, record.number);
      return absl::FailedPreconditionError(answer.omissions[0].reason);
    }
    return absl::OkStatus();
  }

  static NamedCheckpoint CommitOf(const std::string& worker_id, const LeaseRef& lease,
                                  uint32_t step, const std::string& sweep = "small") {
    NamedCheckpoint commit;
    commit.worker_id = worker_id;
    commit.lease = lease;
    commit.step = step;
    commit.path =
        absl::StrCat(sweep, "/", lease.job_id, "/attempt-", lease.attempt, "/step-", step);
    commit.digest = std::string(32, 'a');
    commit.bytes = 7;
    return commit;
  }
  static CheckpointRecord RecordOf(const NamedCheckpoint& commit) {
    return {commit.step, commit.path, commit.digest, commit.bytes};
  }
  // Sends the checkpoint as the attempt's next record.
  absl::Status Commit(const NamedCheckpoint& commit) {
    return Take(commit.worker_id, {commit.lease, NextNumber(commit.lease), RecordOf(commit)});
  }
  // The end of an attempt, as its next record. Calls with the same End send one record again.
  struct End {
    std::string worker_id;
    LeaseRef lease;
    uint32_t step = 0;
    uint64_t number = 0;
  };
  End EndOf(const std::string& worker_id, const LeaseRef& lease, uint32_t step) {
    return {worker_id, lease, step, NextNumber(lease)};
  }
  absl::Status Complete(const End& end) {
    return Take(end.worker_id, {end.lease, end.number, Completion{end.step}});
  }
  absl::Status Fail(const End& end, FailureKind kind) {
    return Take(end.worker_id,
                {end.lease, end.number, Failure{end.step, kind, "it broke", "last words"}});
  }
  absl::Status Release(const End& end, core::Release::Cause cause = core::Release::Preempted{},
                       const std::string& reason = "") {
    return Take(end.worker_id,
                {end.lease, end.number, core::Release{end.step, reason, std::move(cause)}});
  }
  // Runs a lease from step `from` to SUCCEEDED.
  void RunToEnd(const std::string& worker_id, const LeaseRef& lease, uint32_t from = 0) {
    Report(worker_id, lease, from, 100);
    EXPECT_EQ(Commit(CommitOf(worker_id, lease, 100)), absl::OkStatus());
    EXPECT_EQ(Complete(EndOf(worker_id, lease, 100)), absl::OkStatus());
  }

  JobFilter Whole(const std::string& sweep) {
    JobFilter filter;
    filter.sweep = sweep;
    return filter;
  }
  std::vector<JobMetrics> Metrics(const JobFilter& filter, bool archived = false,
                                  uint32_t limit = 0) {
    std::vector<JobMetrics> rows;
    MetricsCursor cursor;
    for (;;) {
      MetricsQuery query{filter, {}, 0, archived};
      auto page =
          Ask<MetricsPage>([&](auto done) { c_->GetMetrics({}, query, cursor, limit, done); });
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) return rows;
      rows.insert(rows.end(), page->rows.begin(), page->rows.end());
      if (page->end) return rows;
      cursor = page->next;
    }
  }
  std::vector<uint32_t> Steps(JobId id, bool archived = false) {
    JobFilter filter;
    filter.job_ids = {id};
    std::vector<uint32_t> steps;
    for (const JobMetrics& row : Metrics(filter, archived)) {
      if (row.archived == archived) steps.push_back(row.row.step);
    }
    return steps;
  }

  std::filesystem::path dir_;
  CoordinatorOptions options_;
  coppice::testing::FakeClock clock_;
  absl::Mutex incarnations_mutex_;  // tests register on several threads
  std::map<std::pair<std::string, std::string>, uint64_t> incarnations_;  // by name and instance
  std::unique_ptr<Store> store_;
  std::unique_ptr<FaultyStore> faulty_;
  std::unique_ptr<Coordinator> c_;
};

}  // namespace coppice::core

#endif  // COPPICE_TESTS_COORDINATOR_CORE_HARNESS_H_

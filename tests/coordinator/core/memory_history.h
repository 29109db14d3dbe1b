#ifndef COPPICE_TESTS_COORDINATOR_CORE_MEMORY_HISTORY_H_
#define COPPICE_TESTS_COORDINATOR_CORE_MEMORY_HISTORY_H_

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/recovery.h"
#include "coordinator/store/sqlite_store.h"
#include "tests/coordinator/core/memory_dump.h"
#include "tests/testing/fake_clock.h"

namespace coppice::core {

// A database, the memory beside it, and commands that run in batches, as the writer runs them. All
// on one thread.
class MemoryHistory {
 public:
  explicit MemoryHistory(uint64_t seed) : random_(seed) {
    options_.checkpoint_root = "/nowhere";
    options_.jobs_a_part = 5;
    auto store = store::OpenSqliteStore({":memory:", 1, 0});
    EXPECT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    Restart();
  }

  // Commands that succeeded, by name.
  const std::map<std::string, int>& succeeded() const { return succeeded_; }

 protected:
  using Body = std::function<absl::Status(CommandContext&)>;
  struct Named {
    std::string name;
    Body run;
  };
  struct Running {
    Submission submission;
    uint64_t inserted = 0;
  };

  int Below(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }
  bool OneIn(int n) { return Below(n) == 0; }
  template <typename T>
  const T& AnyOf(const std::vector<T>& values) {
    return values[static_cast<size_t>(Below(static_cast<int>(values.size())))];
  }

  void Add(const std::string& name, Body run) { commands_.push_back({name, std::move(run)}); }

  void AddDeletePart() {
    Add("delete a part", [](CommandContext& tx) -> absl::Status {
      const auto half_deleted = tx.read().ListDeletedSweeps();
      if (!half_deleted.ok()) return half_deleted.status();
      if (half_deleted->empty()) return absl::NotFoundError("none is deleted");
      return DeletePart(tx, half_deleted->front().id).status();
    });
  }

  void RunBatch() {
    std::vector<Named> commands = std::exchange(commands_, {});
    names_.clear();
    Effects effects;
    const absl::Status committed = store_->RunInTransaction([&](WriteTransaction& store) {
      for (const Named& command : commands) {
        Effects own;
        CommandContext tx(&store, memory_.get(), &own, clock_->NowMillis(), clock_->Monotonic());
        const absl::Status status = store.Savepoint([&] { return command.run(tx); });
        names_.push_back(absl::StrCat(command.name, status.ok() ? "" : " (refused)"));
        if (!status.ok()) continue;
        ++succeeded_[command.name];
        effects.Append(std::move(own));
      }
      return absl::OkStatus();
    });
    ASSERT_TRUE(committed.ok()) << committed;
    for (MemoryChange& change : effects.memory) Apply(*memory_, std::move(change));
    memory_->dispatcher.waiters.TakeReplaced();
  }

  void Grant() {
    const absl::Duration now = clock_->Monotonic();
    memory_->dispatcher.PromoteDelayed(now);
    memory_->dispatcher.BeginTurn(0, false);
    for (Dispatcher::Grant& grant : memory_->dispatcher.PlanGrants(now).grants) {
      Add("grant", GrantCommand(std::move(grant)).run);
    }
    RunBatch();
  }

  // Ends the leases of a worker that has fallen silent.
  void Expire() {
    clock_->Advance(options_.lease + absl::Seconds(1));
    for (const LeaseRef& lease : memory_->leases.Due(clock_->Monotonic(), 100)) {
      Add("expire", [lease](CommandContext& tx) { return ExpireLease(tx, lease); });
    }
    RunBatch();
  }

  // A new process, whose monotonic clock begins at zero.
  void Restart() {
    auto clock = std::make_unique<coppice::testing::FakeClock>();
    if (clock_ != nullptr) clock->JumpWallTime(clock_->Now() - clock->Now());
    memory_.reset();
    clock_ = std::move(clock);
    memory_ = Rebuilt();
    for (const Running& running : submissions_) leftovers_.push_back(running.submission.sweep.id);
    submissions_.clear();
    names_ = {"restart"};
  }

  std::unique_ptr<Memory> Rebuilt() {
    auto memory = std::make_unique<Memory>(options_, clock_.get());
    std::vector<Checkpoint> dropped;
    const absl::Status status = Recover(*store_, *clock_, *memory, dropped);
    EXPECT_TRUE(status.ok()) << status;
    return memory;
  }

  bool MemoryIsAsRebuilt() {
    std::set<SweepId> hidden;
    const absl::Status read = store_->Read([&](ReadTransaction& tx) -> absl::Status {
      const auto incomplete = tx.ListIncompleteSweeps();
      if (!incomplete.ok()) return incomplete.status();
      for (const SweepRow& sweep : *incomplete) hidden.insert(sweep.id);
      return absl::OkStatus();
    });
    EXPECT_TRUE(read.ok()) << read;
    const absl::Duration now = clock_->Monotonic();
    const auto rebuilt = Rebuilt();
    memory_->dispatcher.PromoteDelayed(now);
    rebuilt->dispatcher.PromoteDelayed(now);
    const std::string difference = MemoryDump::Difference(MemoryDump::Of(*memory_, now, hidden),
                                                          MemoryDump::Of(*rebuilt, now, hidden));
    if (difference.empty()) return true;
    ADD_FAILURE() << "after: " << absl::StrJoin(names_, ", ") << "\n" << difference;
    return false;
  }

  std::mt19937_64 random_;
  CoordinatorOptions options_;
  std::unique_ptr<coppice::testing::FakeClock> clock_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Memory> memory_;
  std::vector<Named> commands_;     // of the next batch
  std::vector<std::string> names_;  // of the last batch
  std::map<std::string, int> succeeded_;
  std::vector<Running> submissions_;
  std::vector<SweepId> leftovers_;  // interrupted submissions
};

}  // namespace coppice::core

#endif  // COPPICE_TESTS_COORDINATOR_CORE_MEMORY_HISTORY_H_

// A store, on a file or in memory, and short forms of its transactions.
#ifndef COPPICE_TESTS_COORDINATOR_STORE_CONTRACT_FIXTURE_H_
#define COPPICE_TESTS_COORDINATOR_STORE_CONTRACT_FIXTURE_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status_macros.h"
#include "coordinator/core/store.h"
#include "coordinator/store/sqlite_store.h"
#include "tests/testing/temp_dir.h"

namespace coppice::store {

class StoreContract : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { OpenStore(); }
  void OpenStore(uint64_t max_bytes = 0) {
    store_.reset();
    const bool file = std::string(GetParam()) == "file";
    auto store = OpenSqliteStore({file ? dir_.Join("coppice.db") : ":memory:", 2, max_bytes});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  absl::Status Write(const std::function<absl::Status(core::WriteTransaction&)>& body) {
    return store_->RunInTransaction(body);
  }
  template <typename T>
  T Read(const std::function<absl::StatusOr<T>(core::ReadTransaction&)>& body) {
    absl::StatusOr<T> result = absl::UnknownError("not run");
    const absl::Status status = store_->Read([&](core::ReadTransaction& read) {
      result = body(read);
      return result.status();
    });
    EXPECT_TRUE(status.ok()) << status;
    return result.ok() ? *std::move(result) : T();
  }

  static core::GroupRow GroupOf(core::SweepId sweep) {
    core::GroupRow group;
    group.sweep_id = sweep;
    group.spec = {"dyck", 2, "{}", 100, 10, 20, 2, 0, 1.5, {}, 4};
    return group;
  }
  // One sweep, one group, jobs 1..n.
  absl::Status Fill(core::WriteTransaction& tx, uint32_t jobs) {
    core::SweepRow sweep;
    sweep.name = "s";
    sweep.priority = -3;
    sweep.max_failures = 3;
    sweep.created_ms = 1234;
    sweep.steps_total = 100 * jobs;
    COPPICE_ASSIGN_OR_RETURN(const core::SweepId id,
                             tx.InsertSweep(sweep, std::string("spec\0blob", 9)));
    COPPICE_ASSIGN_OR_RETURN(const core::GroupId group, tx.InsertGroup(GroupOf(id)));
    std::vector<uint32_t> seeds;
    for (uint32_t seed = 0; seed < jobs; ++seed) seeds.push_back(10 + seed);
    COPPICE_ASSIGN_OR_RETURN(const core::JobId first, tx.ReserveJobs(id, group, jobs));
    return tx.InsertJobs(id, group, first, seeds);
  }
  void FillWith(uint32_t jobs) {
    ASSERT_EQ(Write([&](core::WriteTransaction& tx) { return Fill(tx, jobs); }), absl::OkStatus());
  }
  core::JobRow Job(core::JobId id) {
    return Read<core::JobRow>([&](core::ReadTransaction& read) { return read.GetJob(id); });
  }
  core::GroupRow OnlyGroup() {
    return Read<std::vector<core::GroupRow>>(
               [](core::ReadTransaction& read) { return read.ListGroups(1); })
        .at(0);
  }
  absl::Status Update(core::JobId id, const std::function<void(core::JobRow&)>& change) {
    return Write([&](core::WriteTransaction& tx) -> absl::Status {
      COPPICE_ASSIGN_OR_RETURN(const core::JobRow before, tx.read().GetJob(id));
      core::JobRow after = before;
      change(after);
      return tx.UpdateJob(before, after);
    });
  }
  std::vector<core::StoredRow> Rows(core::MetricsScan scan) {
    std::vector<core::StoredRow> rows;
    const absl::Status status = store_->Read([&](core::ReadTransaction& read) {
      return read.ScanMetrics(scan, [&](const core::StoredRow& row) {
        rows.push_back(row);
        return true;
      });
    });
    EXPECT_TRUE(status.ok()) << status;
    return rows;
  }

  testing::TempDir dir_;
  std::unique_ptr<core::Store> store_;
};

}  // namespace coppice::store

#endif  // COPPICE_TESTS_COORDINATOR_STORE_CONTRACT_FIXTURE_H_

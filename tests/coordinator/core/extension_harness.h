#ifndef COPPICE_TESTS_COORDINATOR_CORE_EXTENSION_HARNESS_H_
#define COPPICE_TESTS_COORDINATOR_CORE_EXTENSION_HARNESS_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/coordinator/core/harness.h"
#include "tests/coordinator/core/word_reader.h"

namespace coppice::core {

class ExtensionHarness : public Harness {
 protected:
  // A point with 100 steps, unless others are given.
  static GroupSpec Point(uint32_t depth, uint32_t steps = 100, const std::string& run = "lr=1") {
    GroupSpec group = Group("dyck", depth);
    group.run_json = run;
    group.steps = steps;
    return group;
  }
  static SweepSpec Grid(std::vector<GroupSpec> groups, const std::vector<uint32_t>& seeds) {
    SweepSpec spec;
    spec.name = "small";
    spec.spec_blob = absl::StrCat("seeds=", absl::StrJoin(seeds, ","));
    spec.groups = std::move(groups);
    spec.seeds = seeds;
    return spec;
  }
  absl::StatusOr<ExtendResult> Extend(const SweepSpec& spec, bool dry_run = false) {
    return Ask<ExtendResult>([&](auto done) {
      c_->ExtendSweep({}, {spec, dry_run, std::make_shared<const WordReader>()}, done);
    });
  }
  // The result of an extension that must succeed.
  Extension Extended(const SweepSpec& spec, bool dry_run = false) {
    const auto result = Extend(spec, dry_run);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? result->extension : Extension();
  }
  SweepDetails Sweep() {
    auto details = Ask<SweepDetails>([&](auto done) { c_->GetSweep({}, "small", done); });
    EXPECT_TRUE(details.ok()) << details.status();
    return details.ok() ? *std::move(details) : SweepDetails();
  }
  // Reports the rows in (from, to], where `to` is the attempt's last step, and saves it.
  void ReportTo(const std::string& worker, const LeaseRef& lease, uint32_t from, uint32_t to) {
    Report(worker, lease, from, to);
    if (to % 10 != 0) {
      EXPECT_EQ(Take(worker, Row(lease, NextNumber(lease), to, to / 100.0)), absl::OkStatus());
    }
    EXPECT_EQ(Commit(CommitOf(worker, lease, to)), absl::OkStatus());
  }
  void RunFrom(const std::string& worker, const LeaseRef& lease, uint32_t from, uint32_t to) {
    ReportTo(worker, lease, from, to);
    EXPECT_EQ(Complete(EndOf(worker, lease, to)), absl::OkStatus());
  }
  static std::vector<uint32_t> Every(uint32_t every, uint32_t last) {
    std::vector<uint32_t> steps;
    for (uint32_t step = every; step <= last; step += every) steps.push_back(step);
    return steps;
  }
};

}  // namespace coppice::core

#endif  // COPPICE_TESTS_COORDINATOR_CORE_EXTENSION_HARNESS_H_

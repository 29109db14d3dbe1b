// The calls of both services against a core that expects them.
#ifndef COPPICE_TESTS_COORDINATOR_SERVICE_HANDLERS_FIXTURE_H_
#define COPPICE_TESTS_COORDINATOR_SERVICE_HANDLERS_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/service/convert.h"
#include "tests/coordinator/service/mock_coordinator.h"
#include "tests/coordinator/service/served.h"

namespace coppice::service {

inline constexpr char kDigest[] = "0123456789abcdef0123456789abcdef";

class Handlers : public ::testing::Test {
 protected:
  ~Handlers() override { served_.server.reset(); }

  // Fails on any call that a test does not expect.
  ::testing::StrictMock<core::MockCoordinator> core_;
  testing::TempDir dir_;
  Served served_{&core_, Clock::Real(), dir_.path()};
};

inline v1::SweepSpec Spec() {
  v1::SweepSpec spec;
  spec.set_name("small");
  spec.add_tasks("question");
  spec.add_depths(2);
  spec.add_seeds(0);
  return spec;
}

inline core::GroupSummary Group() {
  core::GroupSummary group;
  group.spec = SweepSpecFromProto(Spec()).value().groups[0];
  group.counts = {6, 0, 0, 0, 0};
  group.steps_done = 33;
  return group;
}

inline core::Checkpoint ACheckpoint() { return {8, 3, 20, "small/8/step", kDigest, 99, 5}; }

inline void ExpectCheckpoint(const v1::Checkpoint& checkpoint) {
  EXPECT_EQ(checkpoint.job_id(), 8u);
  EXPECT_EQ(checkpoint.attempt(), 3u);
  EXPECT_EQ(checkpoint.step(), 20u);
  EXPECT_EQ(checkpoint.path(), "small/8/step");
  EXPECT_EQ(checkpoint.digest(), kDigest);
  EXPECT_EQ(checkpoint.bytes(), 99u);
  EXPECT_EQ(checkpoint.committed_ms(), 5);
}

}  // namespace coppice::service

#endif  // COPPICE_TESTS_COORDINATOR_SERVICE_HANDLERS_FIXTURE_H_

// Jobs of users' own programs reach only workers that run programs.
#include <gmock/gmock.h>

#include "absl/strings/str_join.h"
#include "tests/coordinator/core/harness.h"

namespace coppice::core {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

class ProgramDispatchTest : public Harness {
 protected:
  std::string RegisterWorker(const std::string& name, bool programs) {
    WorkerInfo info;
    info.name = name;
    info.instance = "i";
    info.slots = 1;
    info.pack_width = 8;
    info.programs = programs;
    info.incarnation = RegisterOnce(info)->incarnation;
    return RegisterOnce(info)->worker_id;
  }
  void SubmitProgram(uint32_t seeds, uint32_t pack) {
    GroupSpec group = Group("", 0);
    group.run_json = R"({"program":{}})";
    group.program_pack = pack;
    ASSERT_TRUE(Submit(Spec("mine", {group}, seeds)).ok());
  }
  std::string Why(JobId id) {
    return absl::StrJoin(
        Ask<Explanation>([&](auto done) { c_->ExplainJob({}, id, done); })->reasons, "\n");
  }
  size_t Granted(const std::string& worker, bool measures = false) {
    return Ask<LeaseGrant>([&](auto done) {
             c_->AcquireLeases({worker, RandomId(), 0, 8, 0, measures}, {}, done);
           })
        ->leases.size();
  }
};

TEST_F(ProgramDispatchTest, AWorkerWithoutProgramsIsNeverOfferedThem) {
  SubmitProgram(3, 1);
  const std::string plain = RegisterWorker("plain", false);
  EXPECT_EQ(Granted(plain), 0u);
  EXPECT_THAT(Why(1), HasSubstr("No connected worker allows programs: start one with --programs."));
  const std::string open = RegisterWorker("open", true);
  EXPECT_THAT(Why(1), Not(HasSubstr("--programs")));
  EXPECT_EQ(Granted(open), 1u);
}

TEST_F(ProgramDispatchTest, APackIsAsWideAsTheUserSaysAndNobodyMeasures) {
  SubmitProgram(8, 3);
  const std::string worker = RegisterWorker("open", true);
  EXPECT_EQ(Granted(worker), 3u);
  EXPECT_EQ(Granted(worker, /*measures=*/true), 3u);
  EXPECT_EQ(Granted(worker), 2u);
}

// The waiter without programs came first and must not hold up the one behind it.
TEST_F(ProgramDispatchTest, AWaiterThatCannotRunAProgramLetsTheNextOneHaveIt) {
  const std::string plain = RegisterWorker("plain", false);
  const std::string open = RegisterWorker("open", true);
  Answer<LeaseGrant> first, second;
  c_->AcquireLeases({plain, "a", 0, 8, 60'000}, {}, first.done());
  c_->AcquireLeases({open, "b", 0, 8, 60'000}, {}, second.done());
  SubmitProgram(1, 1);
  EXPECT_THAT(second.Wait()->leases, SizeIs(1));
  ASSERT_TRUE(Submit(Spec("classic", {Group("dyck", 2)}, 1)).ok());
  EXPECT_THAT(first.Wait()->leases, SizeIs(1));
}

TEST_F(ProgramDispatchTest, ARestartForgetsNeitherTheGroupNorTheWorker) {
  SubmitProgram(4, 2);
  RegisterWorker("plain", false);
  const std::string open = RegisterWorker("open", true);
  Restart();
  EXPECT_THAT(Why(1), Not(HasSubstr("--programs")));
  EXPECT_EQ(Granted(open), 2u);
}

}  // namespace
}  // namespace coppice::core

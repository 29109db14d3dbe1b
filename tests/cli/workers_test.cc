// The list of workers: the labels of a batch system and the departed.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/cli/cli_fixture.h"

namespace coppice::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class WorkersTest : public CliFixture {
 protected:
  WorkersTest() {
    absl::MutexLock lock(&service().mutex);
    v1::Worker gone = service().workers[0];
    gone.set_name("gone");
    gone.set_connected(false);
    gone.set_draining(false);
    gone.set_departed_ms(5);
    gone.set_departed_reason("preempted: SIGTERM");
    service().workers.push_back(gone);
  }
  void Label() {
    absl::MutexLock lock(&service().mutex);
    v1::Worker& worker = service().workers[0];
    worker.set_idle_slots(3);
    v1::Allocation* allocation = worker.mutable_allocation();
    allocation->set_system("slurm");
    allocation->set_job_id("120_4");
    allocation->set_partition("low");
    allocation->set_node("n17");
    allocation->set_restarts(2);
    allocation->add_gpus("0");
    allocation->add_gpus("MIG-1");
  }
};

TEST_F(WorkersTest, TheDepartedAreShownOnRequest) {
  EXPECT_THAT(Run({"workers"}).out, Not(HasSubstr("gone")));
  EXPECT_THAT(Run({"workers", "--all"}).out,
              AllOf(HasSubstr("gone"), HasSubstr("departed"), HasSubstr("preempted: SIGTERM")));
}

TEST_F(WorkersTest, WhereNobodyIsThePoolsAreNamedIfThereAreAny) {
  {
    absl::MutexLock lock(&service().mutex);
    service().workers.clear();
  }
  EXPECT_THAT(Run({"workers"}).out, HasSubstr("start one with `coppice-worker"));
  {
    absl::MutexLock lock(&pools().mutex);
    pools().list.add_pools()->mutable_spec()->set_name("low");
  }
  EXPECT_THAT(Run({"workers"}).out,
              AllOf(HasSubstr("coppice pool list"), Not(HasSubstr("coppice-worker"))));
}

TEST_F(WorkersTest, ColumnsOfABatchSystemAppearOnlyWhereThereIsOne) {
  EXPECT_THAT(Run({"workers"}).out, AllOf(Not(HasSubstr("partition")), Not(HasSubstr("GPUs")),
                                          Not(HasSubstr("idle")), Not(HasSubstr("departed"))));
  Label();
  EXPECT_THAT(Run({"workers"}).out,
              AllOf(HasSubstr("batch job"), HasSubstr("120_4"), HasSubstr("requeued"),
                    HasSubstr("low"), HasSubstr("n17"), HasSubstr("0,MIG-1"), HasSubstr("idle")));
}

TEST_F(WorkersTest, JsonHasEveryLabel) {
  Label();
  const auto json = nlohmann::json::parse(Run({"workers", "--all", "--json"}).out);
  EXPECT_EQ(json["workers"].size(), 2u);
  EXPECT_EQ(json["workers"][0]["allocation"]["job_id"], "120_4");
  EXPECT_EQ(json["workers"][0]["allocation"]["gpus"].size(), 2u);
  EXPECT_EQ(json["workers"][1]["departed_reason"], "preempted: SIGTERM");
}

TEST_F(WorkersTest, AWorkerThatIsGoneIsForgotten) {
  EXPECT_THAT(Run({"forget", "gone"}).out, HasSubstr("gone is forgotten"));
  EXPECT_EQ(nlohmann::json::parse(Run({"forget", "gone", "--json"}).out)["name"], "gone");
  const CliResult connected = Run({"forget", "node"});
  EXPECT_EQ(connected.code, 1);
  EXPECT_THAT(connected.err, HasSubstr("it is connected; end it first"));
  EXPECT_THAT(Run({"forget", "gnoe"}).err, HasSubstr("no worker 'gnoe'; did you mean 'gone'?"));
  EXPECT_EQ(Run({"forget"}).code, 2);
}

}  // namespace
}  // namespace coppice::cli

// The coordinator as users start it: signals, its log, restarts.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/stop_requests.h"
#include "tests/coordinator/service/coordinator_process.h"
#include "tests/coordinator/service/records.h"
#include "tests/testing/hung_folder.h"
#include "tests/testing/temp_dir.h"

namespace coppice::service {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Subprocess;
using testing::TempDir;

void SubmitSmall(v1::SweepService::Stub* sweeps) {
  v1::SubmitSweepRequest request;
  v1::SweepSpec* spec = request.mutable_spec();
  spec->set_name("s");
  spec->add_tasks("dyck");
  spec->add_depths(2);
  spec->add_seeds(3);
  spec->mutable_train()->set_steps(20);
  spec->mutable_report()->set_every(10);
  v1::SubmitSweepResponse response;
  CallContext context;
  const grpc::Status status = sweeps->SubmitSweep(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
}

v1::RegisterResponse RegisterNode(v1::WorkerService::Stub* workers,
                                  const v1::LeaseRef* held = nullptr) {
  v1::RegisterRequest request;
  request.set_name("node1");
  request.set_instance("the-one-process");
  request.set_protocol(rpc::kProtocolVersion);
  request.set_slots(1);
  request.set_pack_width(1);
  if (held != nullptr) *request.add_held()->mutable_lease() = *held;
  v1::RegisterResponse response;
  for (int asked = 0; asked < 2 && response.worker_id().empty(); ++asked) {
    CallContext context;
    const grpc::Status status = workers->Register(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    request.set_incarnation(response.incarnation());
  }
  return response;
}

v1::AcquireLeasesResponse Acquire(v1::WorkerService::Stub* workers, const std::string& worker_id,
                                  const std::string& request_id, uint32_t wait_ms) {
  v1::AcquireLeasesRequest request;
  request.set_worker_id(worker_id);
  request.set_request_id(request_id);
  request.set_pack_width(1);
  request.set_wait_ms(wait_ms);
  v1::AcquireLeasesResponse response;
  CallContext context;
  const grpc::Status status = workers->AcquireLeases(&context, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response;
}

v1::StreamRecordsRequest Row(const std::string& worker_id, const v1::LeaseRef& lease,
                             uint64_t number, uint32_t step) {
  return MessageOf(worker_id, lease, number, {RowRecord(step, 0.5)});
}

size_t CountRows(v1::SweepService::Stub* sweeps) {
  v1::GetMetricsRequest request;
  request.mutable_filter()->set_sweep("s");
  CallContext context;
  auto reader = sweeps->GetMetrics(&context, request);
  v1::GetMetricsResponse response;
  size_t rows = 0;
  while (reader->Read(&response)) rows += response.rows_size();
  EXPECT_TRUE(reader->Finish().ok());
  return rows;
}

TEST(CoordinatorBinary, SigtermEndsWaitingCallsAndStreamsAndExitsWithZero) {
  TempDir dir;
  Coordinator coordinator(dir.Join("data"));
  SubmitSmall(coordinator.sweeps.get());
  const std::string worker_id = RegisterNode(coordinator.workers.get()).worker_id();
  ASSERT_EQ(Acquire(coordinator.workers.get(), worker_id, "r1", 30'000).leases_size(), 1);
  CallContext context;
  v1::WatchSweepRequest watch;
  watch.set_name("s");
  auto reader = coordinator.sweeps->WatchSweep(&context, watch);
  v1::WatchSweepResponse event;
  ASSERT_TRUE(reader->Read(&event));
  std::thread waiting([&] {
    v1::AcquireLeasesRequest request;
    request.set_worker_id(worker_id);
    request.set_request_id("r2");
    request.set_pack_width(1);
    request.set_wait_ms(60'000);
    v1::AcquireLeasesResponse response;
    CallContext call;
    const auto code = coordinator.workers->AcquireLeases(&call, request, &response).error_code();
    // The call is answered with nothing, or refused if it arrived after the shutdown had begun.
    EXPECT_THAT(code, AnyOf(grpc::StatusCode::OK, grpc::StatusCode::UNAVAILABLE));
  });
  const auto started = std::chrono::steady_clock::now();
  EXPECT_EQ(coordinator.Terminate(), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(20));
  waiting.join();
  while (reader->Read(&event)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_FALSE(FileExists(coordinator.port_file())) << "nobody should look for it there";
  EXPECT_THAT(coordinator.process().err(), HasSubstr("stopped"));
}

TEST(CoordinatorBinary, SigintDoesTheSame) {
  TempDir dir;
  EXPECT_EQ(Coordinator(dir.Join("data")).Terminate(SIGINT), 0);
}

// The garbage collector reads every sweep's folder and blocks there.
TEST(CoordinatorBinary, ItEndsThoughAFileServerUnderItsCheckpointsDoesNotAnswer) {
  TempDir dir;
  const std::string data = dir.Join("data");
  EXPECT_EQ(Coordinator(data).Terminate(), 0);
  testing::HungFolder dead(data + "/checkpoints/dead");
  if (!dead.mounted()) GTEST_SKIP() << "this machine does not let a FUSE filesystem be mounted";
  Coordinator coordinator(data);
  ASSERT_TRUE(dead.AwaitVisitor(kPatience));
  EXPECT_EQ(coordinator.Terminate(), 1) << coordinator.process().err();
  EXPECT_THAT(coordinator.process().err(), HasSubstr("does not answer"));
  dead.Release();
  EXPECT_EQ(Coordinator(data).Terminate(), 0);
}

// Waits for the process's end between cheap checks of its log.
void AwaitLog(Subprocess* process, const std::string& text) {
  for (int i = 0; i < 400 && process->err().find(text) == std::string::npos; ++i) {
    ASSERT_FALSE(process->Wait(absl::Milliseconds(20)).has_value()) << process->err();
  }
  ASSERT_THAT(process->err(), HasSubstr(text));
}

// Like `nohup coppice-coordinator &` in a terminal that is closed.
TEST(CoordinatorBinary, AHangUpThatCameIgnoredDoesNotEndIt) {
  TempDir dir;
  const auto before = ::signal(SIGHUP, SIG_IGN);
  Coordinator coordinator(dir.Join("data"));
  ::signal(SIGHUP, before);
  coordinator.process().Signal(SIGHUP);
  AwaitLog(&coordinator.process(), "SIGHUP is ignored");
  EXPECT_EQ(coordinator.Terminate(), 0);
}

TEST(CoordinatorBinary, AnEarlyWarningOfTheClusterDoesNotEndItWhileWorkersHandIn) {
  TempDir dir;
  Coordinator coordinator(dir.Join("data"));
  for (const int signal : {SIGUSR1, SIGUSR2}) coordinator.process().Signal(signal);
  AwaitLog(&coordinator.process(), "SIGUSR2: the machine may end soon");
  EXPECT_EQ(coordinator.Terminate(), 0);
}

TEST(CoordinatorBinary, WithStandardErrorClosedTheLogGoesIntoNoFileOfItsOwn) {
  TempDir dir;
  const std::string port = dir.Join("port");
  Subprocess closed({"/bin/sh", "-c",
                     absl::StrCat("exec ", COPPICE_COORDINATOR_BINARY, " --insecure --data-dir ",
                                  dir.Join("data"), " --listen 127.0.0.1:0 --port-file ", port,
                                  " 0<&- 1>&- 2>&-")});
  for (int i = 0; i < 3000 && !FileExists(port) && closed.Running(); ++i) {
    closed.Wait(absl::Milliseconds(20));
  }
  closed.Signal(SIGTERM);
  ASSERT_TRUE(closed.Wait(kPatience).has_value());
  EXPECT_EQ(closed.Wait(kPatience)->code, 0);
  EXPECT_EQ(ReadFile(dir.Join("data/coppice.db.lock")).value(), "");
}

TEST(CoordinatorBinary, ASecondSignalEndsItAtOnce) {
  TempDir dir;
  Coordinator coordinator(dir.Join("data"));
  // A held lock (SQLite's for writers to the WAL) makes commits wait for 10 s.
  const int shm = ::open(dir.Join("data/coppice.db-shm").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(shm, 0);
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = 120;
  lock.l_len = 1;
  ASSERT_EQ(::fcntl(shm, F_SETLK, &lock), 0);
  v1::RegisterRequest request;
  request.set_name("node1");
  request.set_instance("i");
  request.set_protocol(rpc::kProtocolVersion);
  request.set_slots(1);
  request.set_pack_width(1);
  v1::RegisterResponse response;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(1));
  EXPECT_EQ(coordinator.workers->Register(&context, request, &response).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  coordinator.process().Signal(SIGTERM);
  AwaitLog(&coordinator.process(), "got SIGTERM");
  // `timeout` signals its child and then the group, so a second signal right after the first is the
  // same request.
  coordinator.process().Signal(SIGINT);
  AwaitLog(&coordinator.process(), "the same request");
  EXPECT_FALSE(coordinator.process().Wait(StopRequests::kSameRequest).has_value());
  EXPECT_EQ(coordinator.Terminate(), 1);
  EXPECT_THAT(coordinator.process().err(), Not(HasSubstr("stopped")));
  ::close(shm);
}

TEST(CoordinatorBinary, KilledAndStartedAgainItKnowsAllThatItAcknowledged) {
  TempDir dir;
  const std::string data = dir.Join("data");
  std::string worker_id;
  v1::LeaseRef lease;
  {
    Coordinator first(data);
    SubmitSmall(first.sweeps.get());
    worker_id = RegisterNode(first.workers.get()).worker_id();
    const v1::AcquireLeasesResponse grant = Acquire(first.workers.get(), worker_id, "r1", 30'000);
    ASSERT_EQ(grant.leases_size(), 1);
    lease = grant.leases(0).lease();
    CallContext context;
    auto stream = first.workers->StreamRecords(&context);
    ASSERT_TRUE(stream->Write(Row(worker_id, lease, 1, 10)));
    v1::StreamRecordsResponse response;
    ASSERT_TRUE(stream->Read(&response));
    ASSERT_EQ(response.answers(0).number(), 1u);
    EXPECT_EQ(first.Terminate(SIGKILL), 128 + SIGKILL);
    EXPECT_FALSE(stream->Finish().ok());
  }
  Coordinator second(data);
  EXPECT_EQ(CountRows(second.sweeps.get()), 1u);
  // The worker presents its lease and continues.
  const std::string again = RegisterNode(second.workers.get(), &lease).worker_id();
  v1::HeartbeatRequest heartbeat;
  heartbeat.set_worker_id(again);
  *heartbeat.add_held()->mutable_lease() = lease;
  v1::HeartbeatResponse directives;
  CallContext one, two;
  ASSERT_TRUE(second.workers->Heartbeat(&one, heartbeat, &directives).ok());
  ASSERT_EQ(directives.directives_size(), 1);
  EXPECT_EQ(directives.directives(0).action(), v1::Directive::CONTINUE);
  auto stream = second.workers->StreamRecords(&two);
  stream->Write(Row(again, lease, 1, 10));  // a resent row, as after a lost acknowledgement
  stream->Write(Row(again, lease, 2, 20));
  stream->WritesDone();
  v1::StreamRecordsResponse response, last;
  while (stream->Read(&response)) last = response;
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(last.answers(0).number(), 2u);
  EXPECT_EQ(CountRows(second.sweeps.get()), 2u);
  EXPECT_EQ(second.Terminate(), 0);
}

}  // namespace
}  // namespace coppice::service

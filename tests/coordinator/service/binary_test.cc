// Tests of the coordinator as users start it: flags, refusals, signals, restarts.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/stop_requests.h"
#include "common/rpc/channel.h"
#include "coppice/v1/coordinator.grpc.pb.h"
#include "tests/testing/hung_folder.h"
#include "tests/testing/subprocess.h"
#include "tests/testing/temp_dir.h"

namespace coppice::service {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using testing::RunProcess;
using testing::RunResult;
using testing::Subprocess;
using testing::TempDir;

constexpr absl::Duration kPatience = absl::Seconds(60);

// own_access_binary_test.cc and security_binary_test.cc test the authentication.
std::vector<std::string> Command(const std::vector<std::string>& flags) {
  std::vector<std::string> command = {COPPICE_COORDINATOR_BINARY, "--insecure"};
  command.insert(command.end(), flags.begin(), flags.end());
  return command;
}

class CallContext : public grpc::ClientContext {
 public:
  CallContext() { set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60)); }
};

// A running coordinator on a free port, with stubs.
class Coordinator {
 public:
  explicit Coordinator(const std::string& data_dir, const std::vector<std::string>& more = {},
                       const std::string& listen = "127.0.0.1:0")
      : port_file_(data_dir + ".port") {
    RemoveFile(port_file_).IgnoreError();  // a killed coordinator could not remove it
    std::vector<std::string> flags = {"--data-dir", data_dir,      "--listen",
                                      listen,       "--port-file", port_file_};
    flags.insert(flags.end(), more.begin(), more.end());
    process_.emplace(Command(flags));
    // Waits for the process's end between cheap checks of the file.
    for (int i = 0; i < 3000 && !FileExists(port_file_) && process_->Running(); ++i) {
      process_->Wait(absl::Milliseconds(20));
    }
    const absl::StatusOr<std::string> address = ReadFile(port_file_);
    if (!address.ok()) {
      ADD_FAILURE() << "the coordinator did not start: " << process_->err();
      return;
    }
    address_ = *address;
    channel_ = rpc::MakeChannel(address_).value();
    sweeps = v1::SweepService::NewStub(channel_);
    workers = v1::WorkerService::NewStub(channel_);
  }

  Subprocess& process() { return *process_; }
  const std::string& address() const { return address_; }
  const std::string& port_file() const { return port_file_; }
  int Terminate(int signal = SIGTERM) {
    process_->Signal(signal);
    const auto status = process_->Wait(kPatience);
    return status.has_value() ? status->code : -1;
  }

 private:
  const std::string port_file_;
  std::optional<Subprocess> process_;
  std::string address_;
  std::shared_ptr<grpc::Channel> channel_;

 public:
  std::unique_ptr<v1::SweepService::Stub> sweeps;
  std::unique_ptr<v1::WorkerService::Stub> workers;
};

// One line on stderr (no log lines, no stack traces) and the exit code of a failed start.
void ExpectRefusal(const RunResult& result, int code, const std::vector<std::string>& parts) {
  EXPECT_EQ(result.code, code) << result.err;
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  for (const std::string& part : parts) EXPECT_THAT(result.err, HasSubstr(part));
}

TEST(CoordinatorBinary, TellsItsVersionAndItsFlags) {
  const RunResult version = RunProcess(Command({"--version"}));
  EXPECT_EQ(version.code, 0);
  EXPECT_THAT(version.out, HasSubstr(COPPICE_VERSION));
  const RunResult help = RunProcess(Command({"--help"}));
  EXPECT_EQ(help.code, 0);
  for (const char* flag : {"--data-dir", "--checkpoint-dir", "--listen", "--port-file", "--lease",
                           "--heartbeat", "--insecure", "--log-level"}) {
    EXPECT_THAT(help.out, HasSubstr(flag));
  }
}

TEST(CoordinatorBinary, SuggestsWhatAMisspeltFlagOrCommandMeant) {
  EXPECT_THAT(RunProcess(Command({"--data-dri", "x"})).err, HasSubstr("did you mean --data-dir?"));
  EXPECT_THAT(RunProcess(Command({"bakup"})).err, HasSubstr("did you mean 'backup'?"));
  EXPECT_THAT(RunProcess(Command({"token", "lsit"})).err, HasSubstr("did you mean 'list'?"));
}

TEST(CoordinatorBinary, RefusesBadFlagsWithExitCodeTwo) {
  TempDir dir;
  const std::string data = dir.Join("data");
  EXPECT_EQ(RunProcess(Command({"--data-directory", data})).code, 2);
  ExpectRefusal(RunProcess(Command({"--data-dir", data, "--lease", "soon"})), 2,
                {"--lease", "soon", "60s"});
  ExpectRefusal(RunProcess(Command({"--data-dir", data, "--lease", "10s", "--heartbeat", "9s"})), 2,
                {"--lease", "--heartbeat"});
  ExpectRefusal(RunProcess(Command({"--data-dir", data, "--log-level", "loud"})), 2,
                {"loud", "debug"});
  ExpectRefusal(RunProcess(Command({"--data-dir", data, "--listen", "7070"})), 2,
                {"7070", "HOST:PORT"});
  ExpectRefusal(RunProcess(Command({"--data-dir", data, "--listen", "0.0.0.0:0"})), 2,
                {"0.0.0.0:0", "--insecure-anywhere"});
  EXPECT_FALSE(FileExists(data)) << "a refused start leaves nothing behind";
}

TEST(CoordinatorBinary, ListensElsewhereOnlyWhenToldThatItIsInsecure) {
  TempDir dir;
  Coordinator open(dir.Join("data"), {"--insecure-anywhere"}, "0.0.0.0:0");
  EXPECT_THAT(open.address(), MatchesRegex("0\\.0\\.0\\.0:[1-9][0-9]*"));
  EXPECT_EQ(open.Terminate(), 0);
}

TEST(CoordinatorBinary, RefusesAPortInUseAndSaysWhatToDo) {
  TempDir dir;
  Coordinator first(dir.Join("first"));
  ExpectRefusal(
      RunProcess(Command({"--data-dir", dir.Join("second"), "--listen", first.address()})), 1,
      {first.address(), "in use", "--listen"});
}

TEST(CoordinatorBinary, RefusesADataDirectoryThatAnotherOneUses) {
  TempDir dir;
  Coordinator first(dir.Join("data"));
  ExpectRefusal(RunProcess(Command({"--data-dir", dir.Join("data"), "--listen", "127.0.0.1:0"})), 1,
                {dir.Join("data"), "another"});
  EXPECT_EQ(first.Terminate(), 0) << "the first is not disturbed";
}

TEST(CoordinatorBinary, RefusesADataDirectoryWithAFileInTheWay) {
  TempDir dir;
  ASSERT_TRUE(WriteFileAtomically(dir.Join("file"), "").ok());
  ExpectRefusal(RunProcess(Command({"--data-dir", dir.Join("file"), "--listen", "127.0.0.1:0"})), 1,
                {dir.Join("file"), "--data-dir"});
}

TEST(CoordinatorBinary, RefusesADataDirectoryItCannotWriteTo) {
  TempDir dir;
  const std::string data = dir.Join("data");
  ASSERT_TRUE(MakeDirectories(data).ok());
  ::chmod(dir.path().c_str(), 0755);
  ::chmod(data.c_str(), 0555);
  std::vector<std::string> command = Command({"--data-dir", data, "--listen", "127.0.0.1:0"});
  if (::geteuid() == 0) {
    // Root ignores file modes, so the program runs as another user.
    const std::vector<std::string> as_nobody = {"setpriv", "--reuid=65534", "--regid=65534",
                                                "--clear-groups"};
    command.insert(command.begin(), as_nobody.begin(), as_nobody.end());
    if (RunProcess(
            {"setpriv", "--reuid=65534", "--clear-groups", COPPICE_COORDINATOR_BINARY, "--version"})
            .code != 0) {
      GTEST_SKIP() << "cannot run the coordinator as another user here";
    }
  }
  ExpectRefusal(RunProcess(command), 1, {data, "--data-dir"});
}

TEST(CoordinatorBinary, RefusesADatabaseOfANewerVersion) {
  TempDir dir;
  const std::string data = dir.Join("data");
  EXPECT_EQ(Coordinator(data).Terminate(), 0);
  {
    // SQLite stores the schema's version (user_version) in bytes 60 to 63 of the file.
    std::fstream file(data + "/coppice.db", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(60);
    file.write("\x00\x00\x27\x0f", 4);
    ASSERT_TRUE(file.good());
  }
  ExpectRefusal(RunProcess(Command({"--data-dir", data, "--listen", "127.0.0.1:0"})), 1,
                {data, "9999", "newer"});
}

TEST(CoordinatorBinary, RefusesCheckpointsOfAnotherStore) {
  TempDir dir;
  const std::string checkpoints = dir.Join("checkpoints");
  EXPECT_EQ(Coordinator(dir.Join("one"), {"--checkpoint-dir", checkpoints}).Terminate(), 0);
  ExpectRefusal(RunProcess(Command({"--data-dir", dir.Join("two"), "--listen", "127.0.0.1:0",
                                    "--checkpoint-dir", checkpoints})),
                1, {checkpoints, "--checkpoint-dir"});
  Coordinator again(dir.Join("one"), {"--checkpoint-dir", checkpoints});
  EXPECT_EQ(again.Terminate(), 0) << "the owner may come back";
}

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

v1::StreamMetricsRequest Row(const std::string& worker_id, const v1::LeaseRef& lease,
                             uint64_t sequence, uint32_t step) {
  v1::StreamMetricsRequest request;
  request.set_worker_id(worker_id);
  *request.mutable_lease() = lease;
  request.set_sequence(sequence);
  request.mutable_row()->set_step(step);
  v1::MetricValue* value = request.mutable_row()->add_values();
  value->set_name("train_loss");
  value->set_value(0.5);
  return request;
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

mode_t ModeOf(const std::string& path) {
  struct stat info = {};
  ::lstat(path.c_str(), &info);
  return info.st_mode & 07777;
}

TEST(CoordinatorBinary, ItsDataAreForItsOwnerAloneAlsoWhereAnEarlierVersionLeftThemOpen) {
  TempDir dir;
  const std::string data = dir.Join("data");
  EXPECT_EQ(Coordinator(data).Terminate(), 0);
  EXPECT_EQ(ModeOf(data), 0700u);
  EXPECT_EQ(ModeOf(data + "/coppice.db"), 0600u);
  ::chmod(data.c_str(), 0755);
  Coordinator again(data);
  EXPECT_EQ(again.Terminate(), 0);
  EXPECT_EQ(ModeOf(data), 0700u);
  EXPECT_THAT(again.process().err(), HasSubstr("was open to other accounts"));
}

TEST(CoordinatorBinary, AFolderOfOtherFilesIsNeitherUsedNorClosedToOthers) {
  TempDir dir;
  const std::string project = dir.Join("project");
  ASSERT_TRUE(MakeDirectories(project).ok());
  ::chmod(project.c_str(), 0755);
  ASSERT_TRUE(WriteFileAtomically(project + "/thesis.tex", "mine").ok());
  ExpectRefusal(RunProcess(Command({"--data-dir", project, "--listen", "127.0.0.1:0"})), 1,
                {project, "thesis.tex", "chmod 700"});
  EXPECT_EQ(ModeOf(project), 0755u);
}

TEST(CoordinatorBinary, NeitherTheDataFolderNorTheDatabaseIsOpenedThroughALink) {
  TempDir dir;
  const std::string data = dir.Join("data");
  EXPECT_EQ(Coordinator(data).Terminate(), 0);
  ASSERT_EQ(::symlink(data.c_str(), dir.Join("link").c_str()), 0);
  ExpectRefusal(RunProcess(Command({"--data-dir", dir.Join("link"), "--listen", "127.0.0.1:0"})), 1,
                {dir.Join("link"), "symbolic link", "--data-dir"});
  for (const char* suffix : {"", "-wal", ".lock"}) {
    const std::string other = dir.Join("other");
    ASSERT_TRUE(MakeDirectories(other).ok());
    const std::string victim = dir.Join(absl::StrCat("victim", suffix));
    ASSERT_TRUE(WriteFileAtomically(victim, "").ok());
    ASSERT_EQ(::symlink(victim.c_str(), absl::StrCat(other, "/coppice.db", suffix).c_str()), 0);
    ::chmod(other.c_str(), 0700);
    ExpectRefusal(RunProcess(Command({"--data-dir", other, "--listen", "127.0.0.1:0"})), 1,
                  {"coppice.db", "symbolic link"});
    EXPECT_EQ(ReadFile(victim).value(), "") << "nothing went through it";
    ASSERT_TRUE(RemoveFile(absl::StrCat(other, "/coppice.db", suffix)).ok());
  }
}

TEST(CoordinatorBinary, APortFileThatIsSomethingElseStays) {
  TempDir dir;
  const std::string mine = dir.Join("notes");
  ASSERT_TRUE(WriteFileAtomically(mine, "to do: write the thesis\n").ok());
  ExpectRefusal(RunProcess(Command({"--data-dir", dir.Join("data"), "--listen", "127.0.0.1:0",
                                    "--port-file", mine})),
                1, {mine, "--port-file"});
  EXPECT_EQ(ReadFile(mine).value(), "to do: write the thesis\n");
}

TEST(CoordinatorBinary, ACheckpointFolderOfOtherFilesIsRefusedAndStays) {
  TempDir dir;
  const std::string runs = dir.Join("runs");
  ASSERT_TRUE(MakeDirectories(runs + "/old/1/attempt-3").ok());
  ASSERT_TRUE(WriteFileAtomically(runs + "/old/1/attempt-3/step-5.safetensors", "mine").ok());
  ExpectRefusal(RunProcess(Command({"--data-dir", dir.Join("data"), "--listen", "127.0.0.1:0",
                                    "--checkpoint-dir", runs})),
                1, {runs, "old", "--checkpoint-dir"});
  EXPECT_TRUE(FileExists(runs + "/old/1/attempt-3/step-5.safetensors"));
}

TEST(CoordinatorBinary, ItsDefaultFolderIsTheUsersAndAnEarlierDefaultIsNotPassedOver) {
  TempDir dir;
  const std::string state = dir.Join("state");
  const std::string port = dir.Join("port");
  {
    Subprocess process(Command({"--listen", "127.0.0.1:0", "--port-file", port}),
                       {{"XDG_STATE_HOME", state}});
    for (int i = 0; i < 3000 && !FileExists(port) && process.Running(); ++i) {
      process.Wait(absl::Milliseconds(20));
    }
    process.Signal(SIGTERM);
    ASSERT_EQ(process.Wait(kPatience)->code, 0) << process.err();
  }
  EXPECT_TRUE(FileExists(state + "/coppice/coordinator/coppice.db"));
  EXPECT_EQ(ModeOf(state + "/coppice"), 0700u);
  ASSERT_TRUE(MakeDirectories(dir.Join("here/coppice-coordinator")).ok());
  ASSERT_TRUE(WriteFileAtomically(dir.Join("here/coppice-coordinator/coppice.db"), "").ok());
  const RunResult refused =
      RunProcess({"/bin/sh", "-c",
                  absl::StrCat("cd ", dir.Join("here"), "; exec ", COPPICE_COORDINATOR_BINARY)},
                 {{"XDG_STATE_HOME", dir.Join("fresh")}});
  ExpectRefusal(refused, 1, {"--data-dir coppice-coordinator"});
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
    auto stream = first.workers->StreamMetrics(&context);
    ASSERT_TRUE(stream->Write(Row(worker_id, lease, 1, 10)));
    v1::StreamMetricsResponse ack;
    ASSERT_TRUE(stream->Read(&ack));
    ASSERT_EQ(ack.sequence(), 1u);
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
  auto stream = second.workers->StreamMetrics(&two);
  stream->Write(Row(again, lease, 1, 10));  // a resent row, as after a lost acknowledgement
  stream->Write(Row(again, lease, 2, 20));
  stream->WritesDone();
  v1::StreamMetricsResponse ack, last;
  while (stream->Read(&ack)) last = ack;
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(last.sequence(), 2u);
  EXPECT_EQ(CountRows(second.sweeps.get()), 2u);
  EXPECT_EQ(second.Terminate(), 0);
}

}  // namespace
}  // namespace coppice::service

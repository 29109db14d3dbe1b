#include "tests/e2e/cluster.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "common/rpc/channel.h"

namespace coppice::e2e {

using testing::RunProcess;
using testing::RunResult;
using testing::Subprocess;

std::string Binary(const std::string& name) { return absl::StrCat(COPPICE_BIN_DIR, "/", name); }

bool AwaitFile(const std::string& path, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  const int fd = ::inotify_init1(IN_CLOEXEC);
  ::inotify_add_watch(fd, std::filesystem::path(path).parent_path().c_str(),
                      IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE);
  bool there = std::filesystem::exists(path);
  while (!there && absl::Now() < deadline) {
    pollfd waiting = {fd, POLLIN, 0};
    ::poll(&waiting, 1, static_cast<int>(absl::ToInt64Milliseconds(deadline - absl::Now())));
    char events[4096];
    if ((waiting.revents & POLLIN) != 0 && ::read(fd, events, sizeof(events)) < 0) break;
    there = std::filesystem::exists(path);
  }
  ::close(fd);
  return there;
}

void Cluster::StartCoordinator(std::vector<std::string> extra) {
  const std::string port_file = Path("port");
  std::filesystem::remove(port_file);
  std::vector<std::string> argv = {Binary("coppice-coordinator"),
                                   "--data-dir",
                                   Path("coordinator"),
                                   "--checkpoint-dir",
                                   Path("checkpoints"),
                                   "--listen",
                                   address_.empty() ? "127.0.0.1:0" : address_,
                                   "--port-file",
                                   port_file,
                                   "--access",
                                   access_,
                                   "--lease",
                                   "2s",
                                   "--heartbeat",
                                   "300ms"};
  argv.insert(argv.end(), extra.begin(), extra.end());
  coordinator_ = std::make_unique<Subprocess>(argv);
  ASSERT_TRUE(AwaitFile(port_file, absl::Seconds(30))) << coordinator_->err();
  address_ = std::string(absl::StripAsciiWhitespace(testing::ReadAll(port_file)));
}

void Cluster::StartWorker(const std::string& name, WorkerFlags flags) {
  std::vector<std::string> argv = {Binary("coppice-worker"),
                                   "--access",
                                   access_,
                                   "--name",
                                   flags.name.empty() ? name : flags.name,
                                   "--state-dir",
                                   Path(name),
                                   "--slots",
                                   absl::StrCat(flags.slots),
                                   "--pack",
                                   flags.pack == 0 ? "auto" : absl::StrCat(flags.pack),
                                   "--threads",
                                   absl::StrCat(flags.threads)};
  if (flags.shared_checkpoints) argv.insert(argv.end(), {"--checkpoint-dir", Path("checkpoints")});
  if (!flags.trainer.empty()) argv.insert(argv.end(), {"--trainer", flags.trainer});
  argv.insert(argv.end(), flags.extra.begin(), flags.extra.end());
  workers_[name] = std::make_unique<Subprocess>(argv);
}

RunResult Cluster::Cli(std::vector<std::string> args, absl::Duration timeout) {
  args.insert(args.begin(), Binary("coppice"));
  return RunProcess(args, {{"COPPICE_ACCESS", access_}}, timeout);
}

void Cluster::Submit(const std::string& yaml) {
  const std::string file = Path("sweep.yaml");
  std::ofstream(file) << yaml;
  const RunResult result = Cli({"submit", file});
  ASSERT_EQ(result.code, 0) << result.err;
}

std::unique_ptr<v1::SweepService::Stub> Cluster::Stub() {
  return v1::SweepService::NewStub(*rpc::MakeChannel(address_, {.access_file = access_}));
}

bool Cluster::WatchUntil(const std::string& sweep, absl::Duration timeout,
                         const std::function<bool(const v1::WatchSweepResponse&)>& done) {
  const auto stub = Stub();
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  v1::WatchSweepRequest request;
  request.set_name(sweep);
  const auto stream = stub->WatchSweep(&context, request);
  v1::WatchSweepResponse change;
  bool reached = false;
  while (!reached && stream->Read(&change)) reached = done(change);
  context.TryCancel();
  while (stream->Read(&change)) {
  }
  stream->Finish();
  return reached;
}

bool Cluster::AwaitStep(const std::string& sweep, uint32_t step, absl::Duration timeout) {
  return WatchUntil(sweep, timeout, [step](const v1::WatchSweepResponse& change) {
    return change.has_job() && change.job().state() == v1::RUNNING && change.job().step() >= step;
  });
}

bool Cluster::AwaitEnd(const std::string& sweep, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (absl::Now() < deadline) {
    const bool ended =
        WatchUntil(sweep, deadline - absl::Now(), [](const v1::WatchSweepResponse& change) {
          const v1::JobCounts& counts = change.summary().counts();
          return change.has_summary() && counts.pending() + counts.running() == 0;
        });
    if (ended) return true;
  }
  return false;
}

v1::GetSweepResponse Cluster::Sweep(const std::string& name) {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(20)));
  v1::GetSweepRequest request;
  request.set_name(name);
  v1::GetSweepResponse response;
  const grpc::Status status = Stub()->GetSweep(&context, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response;
}

std::vector<v1::Job> Cluster::Jobs(const std::string& sweep) {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(20)));
  v1::ListJobsRequest request;
  request.mutable_filter()->set_sweep(sweep);
  request.set_with_latest(true);
  v1::ListJobsResponse response;
  const grpc::Status status = Stub()->ListJobs(&context, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return {response.jobs().begin(), response.jobs().end()};
}

v1::GetJobResponse Cluster::Job(uint64_t id) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(20)));
  v1::GetJobRequest request;
  request.set_job_id(id);
  v1::GetJobResponse response;
  const grpc::Status status = Stub()->GetJob(&context, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response;
}

std::map<std::string, std::string> Cluster::Metrics(const std::string& sweep) {
  const RunResult result = Cli({"metrics", sweep, "--csv"});
  EXPECT_EQ(result.code, 0) << result.err;
  std::vector<std::string> lines = absl::StrSplit(result.out, '\n', absl::SkipEmpty());
  std::map<std::string, std::string> values;
  if (lines.empty()) return values;
  const std::vector<std::string> header = absl::StrSplit(lines[0], ',');
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::vector<std::string> cells = absl::StrSplit(lines[i], ',');
    EXPECT_EQ(cells.size(), header.size()) << lines[i];
    if (cells.size() != header.size()) continue;
    for (size_t c = 5; c < cells.size(); ++c) {
      if (header[c] == "sequences_per_second" || header[c] == "probe_seconds") continue;
      values[absl::StrCat(cells[1], "/", cells[2], "/", cells[3], " ", cells[4], " ", header[c])] =
          cells[c];
    }
  }
  return values;
}

std::vector<pid_t> TrainersOf(pid_t worker) {
  std::vector<pid_t> pids;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    int pid = 0;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &pid)) continue;
    const std::string stat = testing::ReadAll(entry.path() / "stat");
    const size_t paren = stat.rfind(')');
    if (paren == std::string::npos || stat.find("(coppice-trainer") == std::string::npos) continue;
    const std::vector<std::string> fields = absl::StrSplit(stat.substr(paren + 2), ' ');
    if (fields.size() > 1 && fields[0] != "Z" && fields[1] == absl::StrCat(worker))
      pids.push_back(pid);
  }
  return pids;
}

}  // namespace coppice::e2e

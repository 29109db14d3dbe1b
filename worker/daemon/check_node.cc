#include "worker/daemon/check_node.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/build_info.h"
#include "common/base/ids.h"
#include "common/base/names.h"
#include "common/base/printable.h"
#include "common/base/probe_file.h"
#include "common/base/status_macros.h"
#include "common/base/utf8.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "coppice/v1/pools.grpc.pb.h"
#include "worker/daemon/devices.h"
#include "worker/daemon/exit_code.h"
#include "worker/daemon/prepare_worker.h"
#include "worker/daemon/trainer_devices.h"
#include "worker/program/posix_launcher.h"

namespace coppice::worker {
namespace {

constexpr char kCheckNode[] = "check-node";
constexpr absl::Duration kReportLimit = absl::Seconds(20);
constexpr absl::Duration kTrainerLimit = absl::Seconds(60);
// Certificates and the ends of allocations are compared with the clock.
constexpr int64_t kSkewMs = 10'000;
constexpr size_t kMaxProbeKeyBytes = 200;
constexpr size_t kMaxFindingTextBytes = 1500;

using Finding = v1::ProbeFinding;

// Gathers findings, and prints each.
class Findings {
 public:
  Findings(v1::ReportNodeRequest* request, std::ostream* out) : request_(*request), out_(*out) {}

  void Add(Finding::Level level, absl::string_view topic, const std::string& text) {
    Finding* const finding = request_.add_findings();
    finding->set_level(level);
    finding->set_topic(std::string(topic));
    finding->set_text(PrintableLine(Utf8Head(text, kMaxFindingTextBytes)));
    failed_ = failed_ || level == Finding::FAILED;
    out_ << (level == Finding::OK        ? "ok"
             : level == Finding::WARNING ? "warning"
                                         : "failed")
         << ": " << topic << ": " << finding->text() << std::endl;
  }
  void Ok(absl::string_view topic, const std::string& text) { Add(Finding::OK, topic, text); }
  void Warn(absl::string_view topic, const std::string& text) {
    Add(Finding::WARNING, topic, text);
  }
  void Fail(absl::string_view topic, const std::string& text) { Add(Finding::FAILED, topic, text); }
  bool failed() const { return failed_; }

 private:
  v1::ReportNodeRequest& request_;
  std::ostream& out_;
  bool failed_ = false;
};

void CheckClock(int64_t node_ms, int64_t coordinator_ms, Findings* findings) {
  const int64_t ahead_ms = node_ms - coordinator_ms;
  const std::string text = absl::StrCat("the node's clock is ", std::abs(ahead_ms) / 1000, ".",
                                        std::abs(ahead_ms) / 100 % 10, " s ",
                                        ahead_ms < 0 ? "behind" : "ahead of", " the coordinator's");
  if (std::abs(ahead_ms) < kSkewMs) return findings->Ok("clock", text);
  findings->Warn("clock", absl::StrCat(text,
                                       ": certificates and the ends of allocations are "
                                       "judged wrongly. Let NTP (chrony) run on both."));
}

void CheckVersion(const std::string& coordinator, Findings* findings) {
  if (coordinator == COPPICE_VERSION) {
    return findings->Ok("version", absl::StrCat("coppice-worker is ", COPPICE_VERSION));
  }
  findings->Warn("version",
                 absl::StrCat("coppice-worker is ", COPPICE_VERSION, " and the coordinator ",
                              coordinator, ". Install the same on the nodes."));
}

// A trainer that needs no GPU has not been asked anything yet.
absl::Status Starts(const TrainerChoice& trainer, PosixLauncher* launcher) {
  const absl::Status asked = AskTrainer(launcher, trainer.path, kTrainerLimit).status();
  // Another program, or an older one, that answers in its own way.
  if (absl::IsUnimplemented(asked) || absl::IsDataLoss(asked)) return absl::OkStatus();
  return asked;
}

void CheckTrainer(const NodeCheck& check, const EnvironmentLookup& env, Findings* findings) {
  const auto launcher = PosixLauncher::Create();
  if (!launcher.ok()) return findings->Fail("trainer", std::string(launcher.status().message()));
  AgentConfig config;
  const absl::StatusOr<TrainerChoice> trainer =
      PlanTrainer(check.worker, env, launcher->get(), EndRequest(), &config);
  if (!trainer.ok()) return findings->Fail("trainer", std::string(trainer.status().message()));
  if (!trainer->gpu) {
    if (const absl::Status starts = Starts(*trainer, launcher->get()); !starts.ok()) {
      return findings->Fail("trainer", std::string(starts.message()));
    }
  }
  findings->Ok("trainer", absl::StrCat(trainer->path, " starts; jobs run on ", trainer->device));
  if (check.gpus == 0) return;
  const absl::StatusOr<VisibleGpus> gpus = FindGpus(env, check.worker.allocation);
  const size_t seen = gpus.ok() ? gpus->entries.size() : 0;
  if (seen < check.gpus) {
    return findings->Fail(
        "gpu", absl::StrCat("the allocation asks for ", check.gpus, " GPUs and the worker sees ",
                            seen, gpus.ok() ? "" : ": ", gpus.status().message(),
                            ". Compare --gpus and --gres with `scontrol show node`, and look at "
                            "CUDA_VISIBLE_DEVICES."));
  }
  if (trainer->gpu) return findings->Ok("gpu", absl::StrCat(seen, " visible, by ", gpus->source));
  findings->Fail("gpu",
                 "the trainer cannot use the node's GPUs, and jobs would run on the CPU; "
                 "scripts/build_gpu_trainer.sh builds one that can (docs/gpu.md)");
}

void CheckCheckpoints(const NodeCheck& check, const std::string& store_id, Findings* findings,
                      v1::ReportNodeRequest* report) {
  const std::string& folder = check.worker.checkpoint_dir;
  if (folder.empty()) {
    return findings->Ok("checkpoints", "they go over the network (no --checkpoint-dir)");
  }
  AgentConfig config;
  if (const absl::Status shared = UseSharedFolder(folder, &config); !shared.ok()) {
    return findings->Fail("checkpoints", std::string(shared.message()));
  }
  const std::string& root = config.pack.checkpoints.root;
  if (config.store_id != store_id) {
    return findings->Fail("checkpoints",
                          absl::StrCat(root, " belongs to another coordinator (", config.store_id,
                                       "); give --checkpoint-dir this one's folder"));
  }
  const absl::Status seen = CheckProbeFile(root, check.key, ProbeSide::kCoordinator);
  if (!seen.ok()) {
    return findings->Fail(
        "checkpoints",
        absl::StrCat("the node does not see what the coordinator has written (", seen.message(),
                     "): ", root, " is a copy, or its cache is stale. Mount the same folder."));
  }
  const absl::Status written = WriteProbeFile(root, check.key, ProbeSide::kNode);
  if (!written.ok()) {
    return findings->Fail("checkpoints", absl::StrCat("the node cannot write: ", written.message(),
                                                      ". Look at its rights and its space."));
  }
  report->set_wrote_file(true);
}

// Tries the coordinator, and returns the store's id; empty: it was not reached.
std::string CheckCoordinator(const absl::StatusOr<SendReport>& send,
                             const v1::ReportNodeRequest& hello, Clock* clock, Findings* findings) {
  if (!send.ok()) {
    findings->Fail("access", std::string(send.status().message()));
    return "";
  }
  const int64_t before_ms = clock->NowMillis();
  const absl::StatusOr<v1::ReportNodeResponse> answer = (*send)(hello);
  if (!answer.ok()) {
    findings->Fail("coordinator", std::string(answer.status().message()));
    return "";
  }
  CheckClock(before_ms + (clock->NowMillis() - before_ms) / 2, answer->now_ms(), findings);
  CheckVersion(answer->version(), findings);
  return answer->store_id();
}

}  // namespace

bool AsksForNodeCheck(int argc, const char* const* argv) {
  return argc > 1 && absl::string_view(argv[1]) == kCheckNode;
}

std::optional<NodeCheck> ParseNodeCheck(int argc, const char* const* argv, int* exit_code) {
  NodeCheck check;
  CLI::App app("Looks at this node for a pool's probe, and reports to the coordinator.",
               "coppice-worker check-node");
  app.add_option("--probe", check.key, "The key of the probe")->required();
  app.add_option("--gpus", check.gpus, "GPUs of an allocation");
  // The other flags are the worker's.
  app.prefix_command();
  try {
    app.parse(argc - 1, argv + 1);
  } catch (const CLI::ParseError& error) {
    *exit_code = app.exit(error) == 0 ? 0 : kExitUsage;
    return std::nullopt;
  }
  if (!IsPlainName(check.key, kMaxProbeKeyBytes)) {
    std::cerr << "coppice-worker check-node: --probe takes the key that the coordinator gave\n";
    *exit_code = kExitUsage;
    return std::nullopt;
  }
  const std::vector<std::string> rest = app.remaining();
  std::vector<const char*> flags = {argv[0]};
  flags.reserve(rest.size() + 1);
  for (const std::string& flag : rest) flags.push_back(flag.c_str());
  const std::optional<WorkerOptions> worker =
      ParseWorkerOptions(static_cast<int>(flags.size()), flags.data(), exit_code);
  if (!worker.has_value()) return std::nullopt;
  check.worker = *worker;
  return check;
}

absl::StatusOr<SendReport> ReportOverNetwork(const WorkerOptions& options) {
  COPPICE_ASSIGN_OR_RETURN(const rpc::Access access,
                           rpc::ResolveAccess(options.access, rpc::Caller::kWorker));
  COPPICE_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel,
                           rpc::MakeChannel(access.address, access.credentials));
  const std::shared_ptr<v1::PoolService::Stub> stub = v1::PoolService::NewStub(channel);
  const bool tls = access.credentials.tls();
  return [stub, address = access.address,
          tls](const v1::ReportNodeRequest& request) -> absl::StatusOr<v1::ReportNodeResponse> {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(Clock::Real()->Now() + kReportLimit));
    v1::ReportNodeResponse response;
    const grpc::Status called = stub->ReportNode(&context, request, &response);
    const absl::Status status = rpc::FromGrpc(called, context);
    if (!status.ok()) return rpc::ExplainCallError(status, address, tls);
    return response;
  };
}

int RunNodeCheck(const NodeCheck& check, const absl::StatusOr<SendReport>& send,
                 const EnvironmentLookup& env, Clock* clock, std::ostream* out) {
  v1::ReportNodeRequest report;
  report.set_key(check.key);
  report.set_node(HostName());
  const v1::ReportNodeRequest hello = report;
  Findings findings(&report, out);
  const std::string store_id = CheckCoordinator(send, hello, clock, &findings);
  CheckTrainer(check, env, &findings);
  if (store_id.empty()) return kExitFailed;
  CheckCheckpoints(check, store_id, &findings, &report);
  report.set_last(true);
  const absl::StatusOr<v1::ReportNodeResponse> answer = (*send)(report);
  if (report.wrote_file()) {
    RemoveProbeFile(check.worker.checkpoint_dir, check.key, ProbeSide::kNode);
  }
  if (!answer.ok()) findings.Fail("coordinator", std::string(answer.status().message()));
  return findings.failed() ? kExitFailed : kExitStopped;
}

}  // namespace coppice::worker

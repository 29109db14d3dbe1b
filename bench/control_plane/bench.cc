#include "bench/control_plane/bench.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "bench/control_plane/first_lease.h"
#include "bench/control_plane/sweeps.h"
#include "bench/report/markdown.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "common/rpc/channel.h"

namespace coppice::bench {
namespace {

constexpr double kMiB = 1 << 20;
constexpr uint32_t kPack = 10;

double MiB(uint64_t bytes) { return static_cast<double>(bytes) / kMiB; }

}  // namespace

Bench::Bench(const Options& options, std::string folder, std::string checkpoint_folder)
    : options_(options),
      folder_(std::move(folder)),
      checkpoint_folder_(std::move(checkpoint_folder)),
      process_(options.coordinator, folder_, checkpoint_folder_, options.heartbeat) {}

void Bench::Say(const std::string& line) {
  const Memory memory = MemoryOf(process_.pid());
  std::string beats;
  if (fleet_ != nullptr) {
    const Latencies latest = fleet_->TakeHeartbeatLatencies();
    beats = absl::StrCat("; heartbeats p50 / p99 ", Number(latest.Quantile(0.5)), " / ",
                         Number(latest.Quantile(0.99)), " ms");
    beats_.Append(latest);
  }
  std::printf("# %.0f s: %s%s; coordinator: %.0f MiB resident, CPU %.1f s\n",
              absl::ToDoubleSeconds(absl::Now() - began_), line.c_str(), beats.c_str(),
              MiB(memory.now), CpuSecondsOf(process_.pid()));
  std::fflush(stdout);
}

absl::Status Bench::Run() {
  COPPICE_RETURN_IF_ERROR(process_.Start());
  client_ = std::make_unique<Client>(process_.address());
  COPPICE_RETURN_IF_ERROR(Submit());
  COPPICE_RETURN_IF_ERROR(RegisterAndHold());
  Idle();
  COPPICE_RETURN_IF_ERROR(Capacity());
  COPPICE_RETURN_IF_ERROR(HalfLoad());
  COPPICE_RETURN_IF_ERROR(Backup());
  COPPICE_RETURN_IF_ERROR(MetricRows());
  COPPICE_RETURN_IF_ERROR(Overload());
  COPPICE_RETURN_IF_ERROR(KillAndRestart());
  table_.AtMost("resident memory at its peak", MiB(peak_), 1024, "MiB");
  table_.Add("heartbeats answered / failed, leases that an answer ended or found ended",
             absl::StrCat(Number(static_cast<double>(fleet_->heartbeats_answered())), " / ",
                          fleet_->heartbeats_failed(), ", ", fleet_->leases_lost()));
  table_.Add("CPU of the whole run: this client", Number(OwnCpuSeconds()) + " s");
  fleet_->StopHeartbeats();
  return absl::OkStatus();
}

absl::Status Bench::Submit() {
  const v1::SweepSpec large = LargeSweep(options_);
  const absl::Time start = absl::Now();
  COPPICE_ASSIGN_OR_RETURN(const v1::SubmitSweepResponse answer, client_->Submit(large));
  const double took = absl::ToDoubleSeconds(absl::Now() - start);
  if (answer.plan().jobs() != options_.jobs / 10 * 10)
    return absl::InternalError("the sweep has not as many jobs as asked for");
  table_.AtMost(absl::StrCat("submit ", Number(static_cast<double>(answer.plan().jobs())), " jobs"),
                took, 15, "s");
  COPPICE_RETURN_IF_ERROR(client_->Submit(HeldSweep(options_)).status());
  Say("submitted");
  return absl::OkStatus();
}

absl::Status Bench::RegisterAndHold() {
  fleet_ = std::make_unique<Fleet>(options_, process_.address());
  cycles_ = std::make_unique<Cycles>(options_, checkpoint_folder_, fleet_.get());
  rows_ = std::make_unique<Rows>(options_, fleet_.get());
  absl::Time start = absl::Now();
  COPPICE_RETURN_IF_ERROR(fleet_->RegisterAll());
  table_.Add(absl::StrCat("connect and register ", options_.workers, " workers"),
             Number(absl::ToDoubleSeconds(absl::Now() - start)) + " s");
  start = absl::Now();
  COPPICE_RETURN_IF_ERROR(fleet_->HoldJobs());
  table_.Add(absl::StrCat("each leases a pack of ", options_.held),
             Number(absl::ToDoubleSeconds(absl::Now() - start)) + " s");
  fleet_->StartHeartbeats();
  Say("registered");
  return absl::OkStatus();
}

void Bench::Idle() {
  fleet_->TakeHeartbeatLatencies();
  const absl::Time start = absl::Now();
  const double client_cpu = OwnCpuSeconds(), server_cpu = CpuSecondsOf(process_.pid());
  absl::SleepFor(std::max(seconds(0.5), absl::Seconds(std::min(options_.heartbeat, 10.0))));
  const double percent = 100 / absl::ToDoubleSeconds(absl::Now() - start);
  table_.Add("CPU with heartbeats alone: coordinator / client",
             absl::StrCat(Number((CpuSecondsOf(process_.pid()) - server_cpu) * percent), " / ",
                          Number((OwnCpuSeconds() - client_cpu) * percent), " % of a core"));
  const Latencies beats = fleet_->TakeHeartbeatLatencies();
  table_.Add("heartbeat p50 / p99, idle",
             absl::StrCat(Number(beats.Quantile(0.5)), " / ", Number(beats.Quantile(0.99)), " ms"));
  StatusProbe probe(options_, process_.address());
  absl::SleepFor(seconds(0.5));
  AddStatus("idle", probe.Stop());
  Say("idle");
}

void Bench::AddStatus(const char* when, StatusLatencies latencies) {
  const auto add = [&](const char* what, const Latencies& one) {
    if (one.size() == 0) return;
    table_.AtMost(absl::StrCat(what, ", ", when, ", p95 of ", one.size()), one.Quantile(0.95), 100,
                  "ms");
  };
  add("status: GetSweep", latencies.get_sweep);
  add("status: ListJobs, first page", latencies.list_jobs);
  add("status: `coppice status`", latencies.command);
  if (latencies.list_workers.size() > 0)
    table_.Add(absl::StrCat("ListWorkers, ", when, ", p95"),
               Number(latencies.list_workers.Quantile(0.95)) + " ms");
}

void Bench::AddLoad(const char* name, uint32_t pack, const LoadResult& result) {
  const double jobs = static_cast<double>(std::max<uint64_t>(1, result.completions));
  table_.Add(absl::StrCat(name, ", packs of ", pack, ": CPU a job, coordinator / client"),
             absl::StrCat(Number(result.server_cpu / jobs * 1e6), " / ",
                          Number(result.client_cpu / jobs * 1e6), " us"));
  Say(absl::StrCat(name, ", packs of ", pack, ": ", result.leases, " leases, ", result.completions,
                   " completions, ", result.refused, " refused, ", result.failed, " failed, ",
                   result.lost, " leases lost, the last ended ", Number(result.drain_seconds),
                   " s later; CPU ", Number(result.server_cpu / result.seconds * 100), " / ",
                   Number(result.client_cpu / result.seconds * 100), " % of a core"));
}

absl::Status Bench::CheckPhase(const char* phase, const LoadResult& result) {
  COPPICE_RETURN_IF_ERROR(process_.CheckAlive());
  peak_ = std::max(peak_, MemoryOf(process_.pid()).peak);
  if (result.completions > 0 && result.failed == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(phase, ": ", result.completions, " completions, ",
                                          result.failed, " calls failed"));
}

absl::Status Bench::Capacity() {
  for (const uint32_t pack : {kPack, 1u}) {
    const uint32_t concurrency = pack == kPack ? 64 : std::min(512u, options_.active);
    const LoadResult result = cycles_->ClosedLoop(process_.pid(), pack, concurrency, seconds());
    COPPICE_RETURN_IF_ERROR(CheckPhase("the closed loop", result));
    table_.AtLeast(absl::StrCat("durable leases + completions, packs of ", pack),
                   result.per_second(), options_.rate, "/s");
    AddLoad("closed loop", pack, result);
  }
  return absl::OkStatus();
}

absl::Status Bench::HalfLoad() {
  beats_ = Latencies();
  // Half the target; of that, half are leases. A request gets a pack.
  const double leases = options_.rate / 2 / 2;
  for (const uint32_t pack : {kPack, 1u}) {
    StatusProbe probe(options_, process_.address());
    const LoadResult result = cycles_->OpenLoop(process_.pid(), pack, leases / pack, seconds());
    COPPICE_RETURN_IF_ERROR(CheckPhase("half load", result));
    table_.Add(absl::StrCat("half load, packs of ", pack, ": offered / done"),
               absl::StrCat(Number(leases * 2), " / ", Number(result.per_second()), " /s"));
    table_.Add(absl::StrCat("lease p50, packs of ", pack, ", half load"),
               Number(result.lease_latency.Quantile(0.5)) + " ms");
    table_.AtMost(absl::StrCat("lease p99, packs of ", pack, ", half load, ",
                               result.lease_latency.size(), " requests"),
                  result.lease_latency.Quantile(0.99), 20, "ms");
    AddLoad("half load", pack, result);
    StatusLatencies status = probe.Stop();
    if (pack == kPack) AddStatus("half load", std::move(status));
  }
  table_.Add("heartbeat p50 / p99, half load", absl::StrCat(Number(beats_.Quantile(0.5)), " / ",
                                                            Number(beats_.Quantile(0.99)), " ms"));
  return absl::OkStatus();
}

// Makes backups one after the other under half the target load, and measures their cost for other
// callers.
absl::Status Bench::Backup() {
  const std::string target = JoinPath(folder_, "backup");
  std::atomic<bool> over{false};
  Latencies took;
  absl::Status status;
  std::thread backups([&] {
    while (status.ok() && !over) {
      const absl::Time start = absl::Now();
      const auto code =
          RunCommand({options_.coordinator, "backup", target, "--force", "--data-dir", folder_},
                     JoinPath(folder_, "backup.log"));
      took.Add(absl::Now() - start);
      if (!code.ok() || *code != 0) status = absl::InternalError("the backup failed");
    }
  });
  const LoadResult result =
      cycles_->OpenLoop(process_.pid(), kPack, options_.rate / 2 / 2 / kPack, seconds());
  over = true;
  backups.join();
  COPPICE_RETURN_IF_ERROR(status);
  COPPICE_RETURN_IF_ERROR(CheckPhase("backups at half load", result));
  std::error_code ignored;
  const auto bytes = std::filesystem::file_size(target, ignored);
  std::filesystem::remove(target, ignored);
  table_.Add(
      absl::StrCat("backup of ", Number(MiB(bytes)), " MiB at half load, longest of ", took.size()),
      Number(took.Quantile(1) / 1000) + " s");
  table_.Add("lease p50 / p99 / longest, packs of 10, half load, beside backups",
             absl::StrCat(Number(result.lease_latency.Quantile(0.5)), " / ",
                          Number(result.lease_latency.Quantile(0.99)), " / ",
                          Number(result.lease_latency.Quantile(1)), " ms"));
  AddLoad("half load beside backups", kPack, result);
  return absl::OkStatus();
}

absl::Status Bench::MetricRows() {
  const RowsResult result = rows_->Run(process_.pid(), seconds());
  COPPICE_RETURN_IF_ERROR(process_.CheckAlive());
  peak_ = std::max(peak_, MemoryOf(process_.pid()).peak);
  if (result.rows == 0 || result.refused > 0)
    return absl::InternalError(absl::StrCat("metric rows: ", result.refused, " refused"));
  const double rows = static_cast<double>(result.rows);
  table_.Add(absl::StrCat("durable metric rows of ", options_.values, " values, ", fleet_->size(),
                          " streams"),
             Number(rows / result.seconds) + " /s");
  table_.Add("metric rows: CPU a row, coordinator / client",
             absl::StrCat(Number(result.server_cpu / rows * 1e6), " / ",
                          Number(result.client_cpu / rows * 1e6), " us"));
  Say(absl::StrCat("metric rows: ", result.rows, ", p99 ", Number(result.latency.Quantile(0.99)),
                   " ms"));
  return absl::OkStatus();
}

absl::Status Bench::Overload() {
  // The first closed loop's rate would be wrong here: each worker has a stream open since, and
  // gRPC's costs grow with their number.
  const LoadResult before = cycles_->ClosedLoop(process_.pid(), kPack, 64, seconds(0.5));
  COPPICE_RETURN_IF_ERROR(CheckPhase("the closed loop before the overload", before));
  AddLoad("before the overload", kPack, before);
  const double rate = before.per_second();
  table_.Add("durable leases + completions, packs of 10, every worker's stream open",
             Number(rate) + " /s");
  const double offered = rate / 2 * options_.overload;  // leases a second
  StatusProbe probe(options_, process_.address(), StatusProbe::kCommandAlone);
  fleet_->TakeHeartbeatLatencies();
  const uint64_t failed = fleet_->heartbeats_failed(), lost = fleet_->leases_lost();
  COPPICE_ASSIGN_OR_RETURN(
      overload_, bench::Overload(options_, process_.address(), process_.pid(), offered / kPack,
                                 folder_, checkpoint_folder_));
  const Latencies beats = fleet_->TakeHeartbeatLatencies();
  COPPICE_RETURN_IF_ERROR(process_.CheckAlive());
  const Memory memory = MemoryOf(process_.pid());
  peak_ = std::max(peak_, memory.peak);
  const StatusLatencies status = probe.Stop();
  AddOverload(overload_.load, rate);
  table_.Add("overload: heartbeat p50 / p99 of the other workers",
             absl::StrCat(Number(beats.Quantile(0.5)), " / ", Number(beats.Quantile(0.99)), " ms"));
  table_.AtMost("overload: heartbeats of theirs that failed",
                static_cast<double>(fleet_->heartbeats_failed() - failed), 0, "");
  table_.AtMost("overload: leases of theirs that were lost",
                static_cast<double>(fleet_->leases_lost() - lost), 0, "");
  if (status.command.size() > 0)
    table_.AtMost(absl::StrCat("overload: `coppice status`, p95 of ", status.command.size(), ", ",
                               status.failed, " failed"),
                  status.command.Quantile(0.95), 1000, "ms");
  table_.Add("overload: resident memory", Number(MiB(memory.now)) + " MiB");
  const LoadResult after = cycles_->ClosedLoop(process_.pid(), kPack, 64, seconds(0.5));
  COPPICE_RETURN_IF_ERROR(process_.CheckAlive());
  AddLoad("after the overload", kPack, after);
  table_.AtLeast("after the overload: of the rate before", after.per_second() / rate * 100, 80,
                 "%");
  return absl::OkStatus();
}

void Bench::AddOverload(const LoadResult& during, double rate) {
  AddLoad("overload", kPack, during);
  table_.Add(absl::StrCat("overload: offered, times the closed loop"),
             Number(static_cast<double>(during.offered) * kPack / during.seconds / (rate / 2)));
  // Only completions count: leases alone are useless. Begun cycles may end later, since they wait
  // for their turn, here or in the client.
  table_.AtLeast("overload: completions until all ended that began, of the closed loop's rate",
                 static_cast<double>(during.in_all) * 2 / during.until_last / rate * 100, 70, "%");
  table_.Add("overload: the last one ended, after the last request",
             Number(during.until_last - during.seconds) + " s");
  table_.Add("overload: refused (RESOURCE_EXHAUSTED)", Number(static_cast<double>(during.refused)));
}

absl::Status Bench::KillAndRestart() {
  // Under load, so that something could be lost.
  rows_->Start();
  cycles_->StartEndless(kPack, 64);
  absl::SleepFor(std::min(absl::Seconds(3), seconds(0.5)));
  rows_->Stop();
  cycles_->Abandon();
  process_.Kill();
  fleet_->CloseStreams();
  if (!cycles_->WaitForNone(absl::Seconds(60))) std::printf("# some calls were never answered\n");
  Acknowledged acknowledged{cycles_->completed(), cycles_->open_leases(), rows_->acked()};
  acknowledged.completed.merge(overload_.acknowledged.completed);
  acknowledged.leases.merge(overload_.acknowledged.leases);
  const absl::Time start = absl::Now();
  COPPICE_RETURN_IF_ERROR(process_.Exec());
  COPPICE_ASSIGN_OR_RETURN(const absl::Time granted, AwaitFirstLease(process_.address(), *fleet_));
  COPPICE_RETURN_IF_ERROR(process_.CheckAlive());
  const double took = absl::ToDoubleSeconds(granted - start);
  table_.AtMost("kill -9, exec, until the first lease", took, 3, "s");
  Say("restarted");
  const absl::Time check = absl::Now();
  COPPICE_ASSIGN_OR_RETURN(const uint64_t ended,
                           CheckNothingLost(options_, client_.get(), acknowledged));
  table_.Add("acknowledged completions that are SUCCEEDED after it",
             absl::StrCat(Number(static_cast<double>(acknowledged.completed.size())), ", all"));
  table_.Add("leases that do not stand after it", Number(static_cast<double>(ended)));
  Say(absl::StrCat("checked in ", Number(absl::ToDoubleSeconds(absl::Now() - check)), " s"));
  peak_ = std::max(peak_, MemoryOf(process_.pid()).peak);
  return absl::OkStatus();
}

}  // namespace coppice::bench

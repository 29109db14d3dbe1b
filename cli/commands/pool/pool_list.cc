#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/commands/pool/pool.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/table.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

// "2 (Priority, start about 2026-11-30 14:30:00 +01:00)".
std::string Queued(const v1::Pool& pool) {
  std::set<std::string> parts;
  int64_t start_ms = 0;
  for (const v1::PoolAllocation& allocation : pool.allocations()) {
    if (allocation.state() != "queued") continue;
    if (!allocation.reason().empty() && allocation.reason() != "None") {
      parts.insert(allocation.reason());
    }
    const int64_t at = allocation.estimated_start_ms();
    if (at != 0 && (start_ms == 0 || at < start_ms)) start_ms = at;
  }
  std::vector<std::string> words(parts.begin(), parts.end());
  if (start_ms != 0) words.push_back(absl::StrCat("start about ", FormatTime(start_ms)));
  if (pool.unclear() > 0) words.push_back(absl::StrCat(pool.unclear(), " not clear yet"));
  return absl::StrCat(pool.queued(),
                      words.empty() ? "" : absl::StrCat(" (", absl::StrJoin(words, ", "), ")"));
}

std::string Failures(const v1::Pool& pool) {
  if (pool.failures() == 0) return "-";
  return absl::StrCat(pool.failures(), pool.last_error().empty() ? "" : ": ", pool.last_error());
}

std::string Budget(const v1::Pool& pool) {
  if (pool.spec().gpus() == 0) return "-";
  const std::string used = absl::StrFormat("%.1f", pool.gpu_seconds_today() / 3600);
  if (pool.spec().gpu_hours_a_day() == 0) return absl::StrCat(used, " GPU h");
  return absl::StrCat(used, " of ", FormatShort(pool.spec().gpu_hours_a_day()), " GPU h");
}

std::string Wanted(const v1::Pool& pool) {
  return absl::StrCat(pool.wanted(), pool.spec().has_target() ? " (fixed)" : "", " of ",
                      pool.spec().max_workers());
}

std::string Next(const v1::Pool& pool) {
  if (pool.mode() == v1::POOL_STOPPED) return pool.why();
  return pool.decision().empty() ? "-" : pool.decision();
}

absl::StatusOr<int> ListPools(Context* context) {
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->Connect());
  COPPICE_ASSIGN_OR_RETURN(const v1::ListPoolsResponse response, client->ListPools());
  if (context->json) {
    context->out << ToJson(response);
    return kExitDone;
  }
  if (response.pools().empty()) {
    context->out << "there is no pool; `coppice pool add NAME --partition P --walltime 1h` adds "
                    "one\n";
    return kExitDone;
  }
  Table table({{"pool"},
               {"state"},
               {"wanted", Align::kRight},
               {"connected", Align::kRight},
               {"queued"},
               {"failures"},
               {"today"},
               {"next"}});
  for (const v1::Pool& pool : response.pools()) {
    table.AddRow({pool.spec().name(), PoolModeWord(pool.mode()), Wanted(pool),
                  absl::StrCat(pool.connected()), Queued(pool), Failures(pool), Budget(pool),
                  Next(pool)});
  }
  context->out << table.Render(context->terminal.width);
  PrintBatchSystem(response.batch(), context);
  return kExitDone;
}

}  // namespace

std::string PoolModeWord(v1::PoolMode mode) {
  switch (mode) {
    case v1::POOL_RUNNING:
      return "running";
    case v1::POOL_PAUSED:
      return "paused";
    case v1::POOL_DRAINING:
      return "draining";
    case v1::POOL_STOPPED:
      return "stopped";
    default:
      return "unknown";
  }
}

void PrintBatchSystem(const v1::BatchSystem& batch, Context* context) {
  if (!batch.trouble().empty()) {
    context->out << "the batch system has not answered since "
                 << FormatTime(batch.trouble_since_ms()) << ": " << Printable(batch.trouble())
                 << "\n";
  }
  if (batch.stopped_by_file()) {
    context->out << "a stop file exists: nothing is submitted or cancelled until it is removed\n";
  }
  if (batch.dry_run()) {
    context->out << "the coordinator runs with --pools-dry-run: it decides, and submits nothing\n";
  }
}

void AddPoolList(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand("list", "List the pools and what each does next");
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return ListPools(context); }; });
}

}  // namespace coppice::cli

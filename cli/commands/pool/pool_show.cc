#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/commands/pool/pool.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/table.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

constexpr int kEndedShown = 20;
constexpr int kSweepsShown = 5;

void PrintHead(const v1::Pool& pool, Context* context) {
  std::ostream& out = context->out;
  out << "pool " << pool.spec().name() << "  " << PoolModeWord(pool.mode()) << "\n";
  if (!pool.why().empty()) out << Printable(pool.why()) << "\n";
  out << pool.wanted() << " wanted, " << pool.connected() << " connected, " << pool.running()
      << " running, " << pool.queued() << " queued";
  if (pool.unclear() > 0) out << ", " << pool.unclear() << " not clear yet";
  out << "\n";
  if (!pool.decision().empty()) out << "next: " << Printable(pool.decision()) << "\n";
  if (pool.failures() > 0) {
    out << pool.failures() << (pool.failures() == 1 ? " failure" : " failures")
        << " since the last success: " << Printable(pool.last_error()) << "\n";
  }
  if (pool.backoff_until_ms() > Clock::Real()->NowMillis()) {
    out << "it tries again at " << FormatTime(pool.backoff_until_ms())
        << "; `coppice pool resume` makes it try now\n";
  }
  for (const v1::ExcludedNode& node : pool.excluded()) {
    out << "node " << Printable(node.node()) << " is left out until " << FormatTime(node.until_ms())
        << ": " << Printable(node.why()) << "\n";
  }
}

void PrintUsage(const v1::PoolUsage& usage, Context* context) {
  std::ostream& out = context->out;
  if (usage.starts() > 0) {
    out << "last 24 hours: " << usage.starts() << (usage.starts() == 1 ? " start" : " starts")
        << ", queued for " << FormatDuration(usage.queue_wait_median_s()) << " (median), "
        << FormatDuration(usage.queue_wait_longest_s()) << " at most\n";
  }
  if (!usage.has_useful_share()) return;
  out << absl::StrFormat("%.1f allocation hours: %.0f %% of the slot time trained, %d %s",
                         usage.allocation_hours(), 100 * usage.useful_share(), usage.preemptions(),
                         usage.preemptions() == 1 ? "preemption" : "preemptions");
  if (usage.has_preemptions_an_hour() && usage.preemptions() > 0) {
    out << absl::StrFormat(" (%.2f an hour)", usage.preemptions_an_hour());
  }
  out << "\n";
}

// Those of the newest use; spent ones in any case.
void PrintSweeps(const v1::Pool& pool, bool all, Context* context) {
  const double limit = pool.spec().gpu_hours_a_sweep();
  bool spent = false;
  int newer = pool.sweeps_size();
  for (const v1::PoolSweepUse& use : pool.sweeps()) {
    --newer;
    spent = spent || use.spent();
    if (!all && !use.spent() && newer >= kSweepsShown) continue;
    context->out << "sweep " << Printable(use.name()) << ": "
                 << absl::StrFormat("%.2f", use.gpu_seconds() / 3600)
                 << (limit > 0 ? absl::StrCat(" of ", FormatShort(limit)) : "") << " GPU hours"
                 << (use.spent() ? ", spent: its jobs get no more here" : "") << "\n";
  }
  if (!spent) return;
  context->out << "give spent sweeps more with --gpu-hours-a-sweep: `coppice pool add "
               << pool.spec().name() << " --replace` with all settings\n";
}

std::string AllocationStateText(const v1::PoolAllocation& allocation) {
  if (!allocation.outcome().empty()) return allocation.outcome();
  if (allocation.state() == "queued" && !allocation.reason().empty()) {
    return absl::StrCat("queued (", allocation.reason(), ")");
  }
  return allocation.state() == "running" && !allocation.registered() ? "running, no worker yet"
                                                                     : allocation.state();
}

void PrintAllocations(const v1::Pool& pool, bool all, Context* context) {
  if (pool.allocations().empty()) return;
  context->out << "\n";
  Table table({{"allocation"},
               {"job"},
               {"state"},
               {"node"},
               {"submitted"},
               {"started"},
               {"ended or ends"},
               {"requeued", Align::kRight}});
  int ended = 0;
  for (const v1::PoolAllocation& allocation : pool.allocations()) {
    const bool over = allocation.state() == "ended";
    if (over && !all && ++ended > kEndedShown) continue;
    table.AddRow({allocation.key(), allocation.job_id().empty() ? "-" : allocation.job_id(),
                  AllocationStateText(allocation),
                  allocation.node().empty() ? "-" : allocation.node(),
                  FormatTime(allocation.submitted_ms()), FormatTime(allocation.started_ms()),
                  FormatTime(over ? allocation.ended_ms() : allocation.ends_ms()),
                  absl::StrCat(allocation.restarts())});
  }
  context->out << table.Render(context->terminal.width);
  for (const v1::PoolAllocation& allocation : pool.allocations()) {
    if (allocation.error().empty()) continue;
    context->out << "\n" << allocation.key() << ": " << Printable(allocation.error()) << "\n";
    if (!allocation.output_tail().empty()) {
      context->out << Printable(allocation.output_tail()) << "\n";
    }
    if (!all) break;  // the newest
  }
}

absl::StatusOr<int> ShowPool(const std::string& name, bool all, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->Connect());
  COPPICE_ASSIGN_OR_RETURN(const v1::GetPoolResponse response, client->GetPool(name));
  if (context->json) {
    context->out << ToJson(response);
    return kExitDone;
  }
  PrintHead(response.pool(), context);
  PrintUsage(response.pool().usage(), context);
  PrintSweeps(response.pool(), all, context);
  PrintBatchSystem(response.batch(), context);
  PrintAllocations(response.pool(), all, context);
  context->out << "\nsettings\n" << ToJson(response.pool().spec());
  return kExitDone;
}

}  // namespace

void AddPoolShow(CLI::App* app, Context* context, Action* action) {
  CLI::App* command =
      app->add_subcommand("show", "Show a pool: its state, allocations and settings");
  const auto name = std::make_shared<std::string>();
  const auto all = std::make_shared<bool>(false);
  command->add_option("POOL", *name, "Its name")->required();
  command->add_flag("--all", *all, "Every allocation and error that is known, not only the last");
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return ShowPool(*name, *all, context); }; });
}

}  // namespace coppice::cli

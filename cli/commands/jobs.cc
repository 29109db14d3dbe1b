#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "cli/commands/commands.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/table.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

struct JobsOptions {
  std::string target;
  FilterFlags filter;
};

std::string OneLine(const std::string& text) {
  std::string line = Printable(text);
  for (char& c : line) {
    if (c == '\n' || c == '\t') c = ' ';
  }
  return line;
}

std::string WorkerOf(const v1::Job& job) {
  if (job.silent_seconds() == 0) return job.worker();
  return absl::StrCat(job.worker(), ", no report for ", job.silent_seconds(), " s");
}

// Printed page by page, since a sweep may have millions of jobs.
absl::Status PrintJson(Client* client, const v1::JobFilter& filter, std::ostream& out) {
  bool first = true;
  out << "{\"jobs\": [";
  COPPICE_RETURN_IF_ERROR(client->ListJobs(filter, true, [&](const v1::ListJobsResponse& page) {
    for (const v1::Job& job : page.jobs()) {
      out << (first ? "\n" : ",\n") << ToJson(job, false);
      first = false;
    }
    return out.good();
  }));
  out << "\n]}\n";
  return absl::OkStatus();
}

// A folded table repeats these columns, which identify the job of a row, as far as other columns
// have room.
size_t PinnedColumns(const Terminal& terminal) { return terminal.width < 60 ? 1 : 4; }

absl::StatusOr<int> Jobs(const JobsOptions& options, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->Connect());
  COPPICE_ASSIGN_OR_RETURN(const v1::JobFilter filter,
                           Select(client, options.target, options.filter));
  if (context->json) {
    COPPICE_RETURN_IF_ERROR(PrintJson(client, filter, context->out));
    return kExitDone;
  }
  uint64_t shown = 0;
  // Each page is a table of its own, so that the first lines appear at once.
  COPPICE_RETURN_IF_ERROR(client->ListJobs(filter, true, [&](const v1::ListJobsResponse& page) {
    Table table({{"job", Align::kRight},
                 {"task"},
                 {"depth", Align::kRight},
                 {"seed", Align::kRight},
                 {"state"},
                 {"step", Align::kRight},
                 {"of", Align::kRight},
                 {"id", Align::kRight},
                 {"gen", Align::kRight},
                 {"attempts", Align::kRight},
                 {"worker"},
                 {"reason"}});
    for (const v1::Job& job : page.jobs()) {
      const auto accuracy = [&](const char* name) {
        for (const v1::MetricValue& metric : job.latest()) {
          if (metric.name() == name) return FormatAccuracy(metric.value(), true);
        }
        return FormatAccuracy(0, false);
      };
      table.AddRow({absl::StrCat(job.id()), job.task(), absl::StrCat(job.depth()),
                    absl::StrCat(job.seed()), v1::JobState_Name(job.state()),
                    absl::StrCat(job.step()), absl::StrCat(job.steps()), accuracy("id_accuracy"),
                    accuracy("gen_accuracy"), absl::StrCat(job.attempts()), WorkerOf(job),
                    OneLine(job.reason())});
    }
    shown += static_cast<uint64_t>(page.jobs_size());
    if (page.jobs_size() > 0)
      context->out << table.Render(context->terminal.width, PinnedColumns(context->terminal));
    return context->out.good();
  }));
  if (shown == 0) {
    COPPICE_ASSIGN_OR_RETURN(const std::string none, NoneInState(client, filter));
    context->out << none << "\n";
  }
  return kExitDone;
}

}  // namespace

void AddJobs(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand("jobs", "List jobs");
  const auto options = std::make_shared<JobsOptions>();
  command->add_option("SWEEP", options->target, "SWEEP, SWEEP/TASK[/DEPTH[/SEED]] or a job number");
  AddFilterFlags(command, &options->filter);
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return Jobs(*options, context); }; });
}

}  // namespace coppice::cli

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "absl/strings/str_split.h"
#include "cli/commands/commands.h"
#include "cli/export.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

struct Options {
  std::string target;
  FilterFlags filter;
  std::vector<std::string> names;
  uint32_t from_step = 0;
  bool archived = false;
  bool csv = false;
  bool jsonl = false;
  std::string output;
};

MetricsFormat FormatOf(const Options& options, const Context& context) {
  if (options.csv) return MetricsFormat::kCsv;
  if (options.jsonl) return MetricsFormat::kJsonLines;
  return context.json ? MetricsFormat::kJson : MetricsFormat::kTable;
}

absl::StatusOr<int> Metrics(const Options& options, Context* context) {
  if (int{options.csv} + int{options.jsonl} + int{context->json} > 1) {
    return absl::InvalidArgumentError(
        "--csv, --jsonl and --json exclude each other; give one of them");
  }
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->Connect());
  v1::GetMetricsRequest request;
  COPPICE_ASSIGN_OR_RETURN(*request.mutable_filter(), ResolveTarget(client, options.target));
  COPPICE_RETURN_IF_ERROR(ApplyFlags(options.filter, request.mutable_filter()));
  for (const std::string& text : options.names) {
    for (const absl::string_view name : absl::StrSplit(text, ',', absl::SkipEmpty())) {
      request.add_names(std::string(name));
    }
  }
  request.set_from_step(options.from_step);
  request.set_include_archived(options.archived);
  const auto write = [&](const Sink& sink) {
    return ExportMetrics(client, request, FormatOf(options, *context), sink);
  };
  if (!options.output.empty()) {
    COPPICE_RETURN_IF_ERROR(WriteToFile(options.output, write));
    return kExitDone;
  }
  COPPICE_RETURN_IF_ERROR(write([&](absl::string_view text) {
    context->out.write(text.data(), static_cast<std::streamsize>(text.size()));
    return context->out.good()
               ? absl::OkStatus()
               : absl::InternalError("cannot write to standard output; check the disk");
  }));
  context->out << std::flush;
  return kExitDone;
}

}  // namespace

void AddMetrics(CLI::App* app, Context* context, Action* action) {
  CLI::App* command =
      app->add_subcommand("metrics", "Print the metrics of a sweep's jobs, a row per job and step");
  const auto options = std::make_shared<Options>();
  command->add_option("SWEEP", options->target, "SWEEP, SWEEP/TASK[/DEPTH[/SEED]] or a job number");
  AddFilterFlags(command, &options->filter);
  command->add_option("--name", options->names, "Only these metrics, e.g. id_accuracy,gen_accuracy")
      ->allow_extra_args(false);
  command->add_option("--from-step", options->from_step, "Only rows of this step and later ones");
  command->add_flag("--archived", options->archived,
                    "Also rows that a later attempt replaced, with their epoch");
  command->add_flag("--csv", options->csv, "CSV with every digit of each number");
  command->add_flag("--jsonl", options->jsonl, "One JSON object (JobMetrics) a line");
  command->add_option("-o,--output", options->output,
                      "Write to this file instead; it appears when complete");
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return Metrics(*options, context); }; });
}

}  // namespace coppice::cli

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands/commands.h"
#include "cli/export.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

struct MetricsOptions {
  MetricsFlags metrics;
  bool archived = false;
  bool csv = false;
  bool jsonl = false;
  OutputName output;
};

MetricsFormat FormatOf(const MetricsOptions& options, const Context& context) {
  if (options.csv) return MetricsFormat::kCsv;
  if (options.jsonl) return MetricsFormat::kJsonLines;
  return context.json ? MetricsFormat::kJson : MetricsFormat::kTable;
}

absl::StatusOr<int> Metrics(const MetricsOptions& options, Context* context) {
  if (int{options.csv} + int{options.jsonl} + int{context->json} > 1) {
    return absl::InvalidArgumentError(
        "--csv, --jsonl and --json exclude each other; give one of them");
  }
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->Connect());
  COPPICE_ASSIGN_OR_RETURN(std::vector<v1::GetMetricsRequest> requests,
                           MetricsRequests(options.metrics, client));
  for (v1::GetMetricsRequest& request : requests) request.set_include_archived(options.archived);
  COPPICE_RETURN_IF_ERROR(WriteTo(options.output, context->out, [&](const Sink& sink) {
    return ExportMetrics(client, requests, FormatOf(options, *context), sink, /*folder=*/"",
                         options.output.standard_output() ? context->terminal.width : 0);
  }));
  return kExitDone;
}

}  // namespace

void AddMetrics(CLI::App* app, Context* context, Action* action) {
  CLI::App* command =
      app->add_subcommand("metrics", "Print the metrics of a sweep's jobs, a row per job and step");
  const auto options = std::make_shared<MetricsOptions>();
  AddMetricsFlags(command, &options->metrics);
  command->add_flag("--archived", options->archived,
                    "Also rows that a later attempt replaced, with their attempt");
  command->add_flag("--csv", options->csv, "CSV with every digit of each number");
  command->add_flag("--jsonl", options->jsonl, "One JSON object (JobMetrics) a line");
  AddOutputFlags(command, &options->output, "Write to this file; it appears when complete");
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return Metrics(*options, context); }; });
}

}  // namespace coppice::cli

#include "cli/export.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "cli/commands/commands.h"
#include "cli/format.h"
#include "cli/tensorboard.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

struct ExportOptions {
  MetricsFlags metrics;
  std::string format;
  OutputName output;
};

absl::StatusOr<int> ToTensorBoard(const ExportOptions& options,
                                  const v1::GetMetricsRequest& request, Client* client,
                                  Context* context) {
  const std::string directory = options.output.path.empty()
                                    ? absl::StrCat(request.filter().sweep(), "-tensorboard")
                                    : options.output.path;
  if (directory == kStandardOutputName)
    return absl::InvalidArgumentError("tensorboard is a folder of files; name it with -o DIR");
  COPPICE_ASSIGN_OR_RETURN(const TensorBoardExport done,
                           ExportTensorBoard(client, request, directory));
  if (done.runs == 0) {
    return absl::NotFoundError(absl::StrCat("no job of ", request.filter().sweep(),
                                            " that matches has reported a metric yet"));
  }
  context->out << FormatCount(done.points) << " values of " << FormatCount(done.runs)
               << (done.runs == 1 ? " run in " : " runs in ") << directory
               << "; look at them with `tensorboard --logdir " << directory << "`\n";
  return kExitDone;
}

absl::StatusOr<int> Export(const ExportOptions& options, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(Client * client, context->Connect());
  COPPICE_ASSIGN_OR_RETURN(const std::vector<v1::GetMetricsRequest> requests,
                           MetricsRequests(options.metrics, client));
  if (options.format == "tensorboard") {
    if (requests.size() == 1) return ToTensorBoard(options, requests[0], client, context);
    return absl::InvalidArgumentError(
        "a run of TensorBoard belongs to one sweep; export each sweep into a folder of its own, "
        "and "
        "give `tensorboard --logdir` the folder that holds them");
  }
  const MetricsFormat format =
      options.format == "csv" ? MetricsFormat::kCsv : MetricsFormat::kJsonLines;
  COPPICE_RETURN_IF_ERROR(WriteTo(options.output, context->out, [&](const Sink& sink) {
    return ExportMetrics(client, requests, format, sink);
  }));
  return kExitDone;
}

}  // namespace

void AddExport(CLI::App* app, Context* context, Action* action) {
  CLI::App* command =
      app->add_subcommand("export", "Write a sweep's metrics for other programs to read");
  const auto options = std::make_shared<ExportOptions>();
  AddMetricsFlags(command, &options->metrics);
  command
      ->add_option("--format", options->format,
                   "csv: a row per job and step, a column per metric; jsonl: one JSON object "
                   "(JobMetrics) a line; tensorboard: a folder with a run per job")
      ->required()
      ->check(CLI::IsMember({"csv", "jsonl", "tensorboard"}));
  AddOutputFlags(command, &options->output,
                 "Write to this file; it appears when complete. "
                 "tensorboard: to this folder [<sweep>-tensorboard]");
  command->callback([=] { *action = [=] { return Export(*options, context); }; });
}

}  // namespace coppice::cli

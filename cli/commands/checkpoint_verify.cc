#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/commands/commands.h"
#include "cli/format.h"
#include "cli/json.h"
#include "common/base/checkpoint_file.h"

namespace coppice::cli {
namespace {

// The reason without the path, which precedes it.
std::string Reason(const absl::Status& status, const std::string& path) {
  absl::string_view reason = status.message();
  absl::ConsumePrefix(&reason, absl::StrCat(path, ": "));
  return Printable(reason);
}

std::string JsonOf(const std::string& path, const absl::StatusOr<CheckpointSummary>& summary) {
  nlohmann::ordered_json json = {{"file", path}, {"ok", summary.ok()}};
  if (summary.ok()) {
    json["seed"] = absl::StrCat(summary->seed);
    json["step"] = absl::StrCat(summary->step);
    json["task"] = summary->task;
    json["depth"] = summary->depth;
    json["tensors"] = absl::StrCat(summary->tensors);
    json["parameters"] = absl::StrCat(summary->parameters);
    json["bytes"] = absl::StrCat(summary->bytes);
    json["digest"] = summary->digest;
  } else {
    json["problem"] = Reason(summary.status(), path);
  }
  return EscapeControls(
      json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

std::string LineOf(const std::string& path, const absl::StatusOr<CheckpointSummary>& summary,
                   const Terminal& terminal) {
  const std::string name = Printable(path);
  if (!summary.ok()) {
    return absl::StrCat(name, ": ", Paint(terminal, Colour::kRed, "BAD"), "  ",
                        Reason(summary.status(), path));
  }
  return absl::StrCat(name, ": ", Paint(terminal, Colour::kGreen, "OK"), "  ",
                      Printable(summary->task), " depth ", summary->depth, " seed ", summary->seed,
                      " at step ", summary->step, ", ", summary->tensors, " tensors, ",
                      FormatCount(summary->parameters), " parameters, ",
                      FormatBytes(summary->bytes), ", digest ", summary->digest);
}

absl::StatusOr<int> Verify(const std::vector<std::string>& paths, Context* context) {
  bool good = true;
  if (context->json) context->out << "{\"files\": [";
  for (size_t i = 0; i < paths.size(); ++i) {
    const absl::StatusOr<CheckpointSummary> summary = InspectCheckpoint(paths[i]);
    good &= summary.ok();
    if (context->json) {
      context->out << (i == 0 ? "\n" : ",\n") << JsonOf(paths[i], summary);
    } else {
      context->out << LineOf(paths[i], summary, context->terminal) << "\n";
    }
    context->out << std::flush;
  }
  if (context->json) context->out << "\n]}\n";
  return good ? kExitDone : kExitFailed;
}

}  // namespace

void AddCheckpointVerify(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand(
      "verify", "Check checkpoint files on this machine; exit code 1 when any is bad");
  const auto paths = std::make_shared<std::vector<std::string>>();
  command->add_option("FILE", *paths, "Checkpoint files (.safetensors)")->required();
  command->add_flag("--json", context->json, "Print JSON: {\"files\": [...]}, an object a file");
  command->callback([=] { *action = [=] { return Verify(*paths, context); }; });
}

}  // namespace coppice::cli

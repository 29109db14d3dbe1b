#include "worker/trainer/data_command.h"

#include <iostream>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "common/base/output_file.h"
#include "common/base/status_macros.h"
#include "common/base/usage.h"
#include "common/settings/table.h"
#include "worker/trainer/config/run_flags.h"
#include "worker/trainer/tasks/directory.h"

namespace coppice::trainer {
namespace {

using nlohmann::json;

const Split* Find(const Dataset& dataset, const std::string& name) {
  if (name == "train") return &dataset.train;
  if (name == "val") return &dataset.val;
  if (name == "test") return &dataset.test;
  return name == "gen" ? &dataset.gen : nullptr;
}

absl::StatusOr<RunConfig> RunOf(const std::string& task, const json& data) {
  // The depth is not used. The run spec's reader checks the other values and knows each task's
  // sizes.
  const json run = {{"task", task}, {"depth", 1}, {"data", data}};
  return ParseRunConfigText(run.dump());
}

}  // namespace

absl::StatusOr<std::optional<DataCommand>> ParseDataCommand(int argc, const char* const* argv) {
  DataCommand command;
  std::string task;
  json numbers = json::object();
  CLI::App app(
      "Writes one split of a generated dataset as text, one example a line: `input . "
      "quest<TAB>output`\n"
      "(question, tense) or brackets and END (dyck). A folder of such files, named TASK.train, "
      "TASK.val,\n"
      "TASK.test and TASK.gen, can be trained on with data.directory or --data-dir.",
      "coppice-trainer data");
  app.add_option("--task", task, "question, tense or dyck")->required();
  app.add_option("--split", command.split, "train, val, test or gen")
      ->required()
      ->check(CLI::IsMember({"train", "val", "test", "gen"}));
  app.add_option("--out", command.out, "the file to write, or - for standard output")->required();
  app.add_flag("--force", command.force, "replace a file that is there");
  // Signed, so that the run spec's reader refuses negative numbers, not CLI11, whose versions
  // differ.
  for (const char* key : {"seed", "train", "val", "test", "gen"}) {
    const settings::Setting& setting = *settings::RunSettings().Find(absl::StrCat("data.", key));
    app.add_option_function<int64_t>(
        key == absl::string_view("seed") ? "--seed" : setting.flag,
        [&numbers, key](int64_t value) { numbers[key] = value; }, FlagHelp(setting));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    app.exit(success);
    return std::optional<DataCommand>();
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(absl::StrCat("data: ", error.what(),
                                                   UsageAdvice(app, {argv + 1, argv + argc}),
                                                   " (see coppice-trainer data --help)"));
  }
  COPPICE_ASSIGN_OR_RETURN(command.run, RunOf(task, numbers));
  return std::optional<DataCommand>(std::move(command));
}

absl::Status WriteData(const DataCommand& command) {
  COPPICE_ASSIGN_OR_RETURN(const Dataset dataset, MakeDataset(DatasetOptionsOf(command.run)));
  const Split* split = Find(dataset, command.split);
  if (split == nullptr) return absl::InvalidArgumentError("no split " + command.split);
  const std::string text = FormatSplit(command.run.task, dataset.vocabulary, *split);
  using Existing = OutputFile::Existing;
  if (command.out == kStandardOutputName) {
    std::cout << text;  // main checks the output
    return absl::OkStatus();
  }
  return WriteOutputFile(command.out, text, command.force ? Existing::kReplace : Existing::kKeep);
}

}  // namespace coppice::trainer

#include "worker/daemon/granted_run.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/printable.h"
#include "common/base/status_macros.h"
#include "common/settings/table.h"

namespace coppice::worker {
namespace {

using Json = nlohmann::ordered_json;

// Reads settings of the run, with their defaults.
class Reader {
 public:
  explicit Reader(const Json& run) : run_(run) {
    const auto task = run.find("task");
    if (task != run.end() && task->is_string())
      defaults_ = settings::RunSettings().Defaults(task->get_ref<const std::string&>());
  }

  Json Get(const char* path) const {
    const Json::json_pointer pointer(absl::StrCat("/", absl::StrReplaceAll(path, {{".", "/"}})));
    if (run_.contains(pointer)) return run_.at(pointer);
    const settings::Value* value = defaults_.Find(path);
    if (value == nullptr) return Json();
    return std::visit([](const auto& v) { return Json(v); }, *value);
  }

  // 0 for anything but a number from 0 to 4294967295.
  uint32_t Number(const char* path) const {
    const Json value = Get(path);
    const double number = value.is_number() ? value.get<double>() : 0;
    return number >= 0 && number <= std::numeric_limits<uint32_t>::max()
               ? static_cast<uint32_t>(number)
               : 0;
  }

 private:
  const Json& run_;
  settings::Values defaults_;
};

std::string KindOf(const Reader& run) {
  Json kind = {{"task", run.Get("task")},
               {"depth", run.Get("depth")},
               {"d_model", run.Get("model.d_model")},
               {"heads", run.Get("model.heads")},
               {"d_ff", run.Get("model.d_ff")},
               {"dropout", run.Get("model.dropout")},
               {"batch_size", run.Get("train.batch_size")},
               {"precision", run.Get("train.precision")},
               {"directory", run.Get("data.directory")},
               {"checkpoints", run.Number("checkpoint.every") < run.Number("train.steps")}};
  if (Json files = run.Get("data.files"); !files.is_null()) kind["files"] = std::move(files);
  return kind.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string GrantedRun::Describe() const {
  if (!program) return absl::StrCat(task, " of depth ", depth);
  return absl::StrCat("the program ", PrintableLine(program->command.front()));
}

absl::StatusOr<GrantedRun> ReadGrantedRun(const std::string& json) {
  if (json.size() > kMaxRunBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("its run has ", json.size(), " bytes, over ", kMaxRunBytes));
  }
  const Json document = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return absl::InvalidArgumentError("its run is no JSON object");
  const Reader reader(document);
  const Json task = reader.Get("task");
  GrantedRun run;
  run.json = json;
  run.task = task.is_string() ? task.get<std::string>() : "";
  run.depth = reader.Number("depth");
  run.steps = reader.Number("train.steps");
  run.stall = absl::Seconds(reader.Number("report.stall_seconds"));
  run.stall_set = run.stall > absl::ZeroDuration();
  if (document.contains("program")) {
    COPPICE_ASSIGN_OR_RETURN(run.program, ReadProgram(document));
    if (run.steps == 0) return absl::InvalidArgumentError("its run has no steps");
    if (!run.stall_set) run.stall = kProgramStall;
    return run;
  }
  if (run.task.empty() || run.steps == 0)
    return absl::InvalidArgumentError("its run has no task or no steps");
  run.kind = KindOf(reader);
  return run;
}

}  // namespace coppice::worker

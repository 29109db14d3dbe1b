#include "worker/program/program.h"

#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"

namespace coppice::worker {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kVisibleDevices[] = "CUDA_VISIBLE_DEVICES";
constexpr char kThreadsVariable[] = "OMP_NUM_THREADS";
// The version of docs/programs.md.
constexpr int kProgramProtocol = 1;

absl::Status NoProgram(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("its program ", what));
}

bool IsText(const Json& json) {
  return json.is_string() && json.get_ref<const std::string&>().find('\0') == std::string::npos;
}

// Unset if there is no such entry.
absl::StatusOr<std::optional<uint32_t>> Number(const Json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end()) return std::optional<uint32_t>();
  if (it->is_number_unsigned() && it->get<uint64_t>() <= std::numeric_limits<uint32_t>::max()) {
    return std::optional<uint32_t>(it->get<uint32_t>());
  }
  return NoProgram(absl::StrCat("has a `", key, "` that is no whole number from 0"));
}

absl::Status ReadCommand(const Json& json, Program* program) {
  const auto command = json.find("command");
  if (command == json.end() || !command->is_array() || command->empty()) {
    return NoProgram("has no `command`");
  }
  for (const Json& word : *command) {
    if (!IsText(word)) return NoProgram("has a `command` with something that is no text");
    program->command.push_back(word.get<std::string>());
  }
  if (program->command.front().empty()) return NoProgram("has a `command` without a name");
  const auto directory = json.find("directory");
  if (directory == json.end() || !IsText(*directory) ||
      !absl::StartsWith(directory->get_ref<const std::string&>(), "/")) {
    return NoProgram("has no `directory` with an absolute path");
  }
  program->directory = directory->get<std::string>();
  return absl::OkStatus();
}

absl::Status ReadEnvironment(const Json& json, Program* program) {
  const auto variables = json.find("environment");
  if (variables == json.end()) return absl::OkStatus();
  if (!variables->is_object()) return NoProgram("has an `environment` that is no object");
  for (const auto& [name, value] : variables->items()) {
    if (name.empty() || name.find_first_of(std::string_view("=\0", 2)) != std::string::npos ||
        !IsText(value)) {
      return NoProgram("has an `environment` with something that is no variable");
    }
    program->environment.emplace_back(name, value.get<std::string>());
  }
  return absl::OkStatus();
}

absl::Status ReadLimits(const Json& json, Program* program) {
  COPPICE_ASSIGN_OR_RETURN(const auto pack, Number(json, "pack"));
  program->pack = pack.value_or(1);
  if (program->pack < 1 || program->pack > kMaxPackWidth) {
    return NoProgram(absl::StrCat("has a `pack` that is not from 1 to ", kMaxPackWidth));
  }
  COPPICE_ASSIGN_OR_RETURN(const auto time_limit, Number(json, "time_limit"));
  if (time_limit.value_or(0) > 0) program->time_limit = absl::Seconds(*time_limit);
  COPPICE_ASSIGN_OR_RETURN(const auto gpus, Number(json, "gpus"));
  program->gpu = gpus.value_or(1) > 0;
  COPPICE_ASSIGN_OR_RETURN(const auto threads, Number(json, "threads"));
  program->threads = threads.value_or(0);
  return absl::OkStatus();
}

// The run as the program sees it: its settings stand beside the others, and what only the worker
// needs is left out.
std::string RunForProgram(Json run) {
  Json settings = Json::object();
  if (const auto found = run["program"].find("settings"); found != run["program"].end()) {
    settings = *found;
  }
  for (const char* key : {"program", "task", "depth"}) run.erase(key);
  run["settings"] = std::move(settings);
  return run.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool Sets(const Program& program, absl::string_view name) {
  for (const auto& [variable, value] : program.environment) {
    if (variable == name) return true;
  }
  return false;
}

uint32_t ThreadsOf(const Program& program, const ProgramSlot& slot) {
  return program.threads > 0 ? program.threads : slot.threads;
}

}  // namespace

absl::StatusOr<Program> ReadProgram(const Json& run) {
  const auto found = run.find("program");
  if (found == run.end() || !found->is_object()) return NoProgram("is no object");
  Program program;
  COPPICE_RETURN_IF_ERROR(ReadCommand(*found, &program));
  COPPICE_RETURN_IF_ERROR(ReadEnvironment(*found, &program));
  COPPICE_RETURN_IF_ERROR(ReadLimits(*found, &program));
  const auto settings = found->find("settings");
  if (settings != found->end() && !settings->is_object()) {
    return NoProgram("has `settings` that are no object");
  }
  const auto report = run.find("report");
  if (report == run.end() || !report->is_object()) return NoProgram("has no `report.every`");
  COPPICE_ASSIGN_OR_RETURN(const auto every, Number(*report, "every"));
  if (every.value_or(0) == 0) return NoProgram("has no `report.every`");
  program.report_every = *every;
  program.run = RunForProgram(run);
  return program;
}

std::string ProgramSpec(const Program& program, const std::vector<ProgramMember>& members,
                        const ProgramSlot& slot) {
  Json list = Json::array();
  for (const ProgramMember& member : members) {
    Json entry = {{"seed", member.seed}, {"checkpoint_dir", member.checkpoint_dir}};
    if (!member.resume.empty()) {
      entry["resume"] = member.resume;
      entry["resume_step"] = member.resume_step;
    }
    list.push_back(std::move(entry));
  }
  return absl::StrCat(
      "{\"protocol\": ", kProgramProtocol, ",\n \"run\": ", program.run,
      ",\n \"members\": ", list.dump(-1, ' ', false, Json::error_handler_t::replace),
      ",\n \"threads\": ", ThreadsOf(program, slot),
      ", \"device\": ", program.gpu && slot.has_gpu ? "\"cuda\"" : "\"cpu\"", "}\n");
}

ProcessCommand ProgramCommand(const Program& program, const ProgramSlot& slot,
                              const std::string& spec, const std::string& log_path) {
  ProcessCommand command;
  command.argv = program.command;
  command.log_path = log_path;
  ForeignProgram foreign;
  foreign.directory = program.directory;
  foreign.mark = absl::StrCat(kRunSpecVariable, "=", spec);
  command.foreign = std::move(foreign);
  for (const char* name : {"PATH", "HOME", "LANG"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && !Sets(program, name)) command.environment.emplace_back(name, value);
  }
  for (const auto& [name, value] : program.environment) {
    if (name != kVisibleDevices && name != kRunSpecVariable) {
      command.environment.emplace_back(name, value);
    }
  }
  if (!Sets(program, kThreadsVariable)) {
    command.environment.emplace_back(kThreadsVariable, absl::StrCat(ThreadsOf(program, slot)));
  }
  command.environment.emplace_back(kRunSpecVariable, spec);
  const char* visible = std::getenv(kVisibleDevices);
  if (!program.gpu || !slot.has_gpu) {
    command.environment.emplace_back(kVisibleDevices, "");
  } else if (!slot.gpu.empty()) {
    command.environment.emplace_back(kVisibleDevices, slot.gpu);
  } else if (visible != nullptr) {
    command.environment.emplace_back(kVisibleDevices, visible);
  }
  return command;
}

}  // namespace coppice::worker

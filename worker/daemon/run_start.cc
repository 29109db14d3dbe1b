#include "worker/daemon/run_start.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/file_names.h"
#include "common/base/files.h"
#include "common/base/secret_file.h"
#include "common/base/status_macros.h"
#include "worker/daemon/thread_settings.h"
#include "worker/program/program_checkpoint.h"

namespace coppice::worker {

RunStart::RunStart(const PackConfig& config, GrantedRun run, std::string name, std::string gpu)
    : run_(std::move(run)),
      trainer_(config.trainer),
      threads_(config.threads),
      device_(config.device),
      has_gpu_(config.has_gpu),
      gpu_(std::move(gpu)),
      spec_path_(JoinPath(config.runs_dir, name + ".json")),
      log_path_(JoinPath(config.logs_dir, name + ".log")) {}

std::string RunStart::CheckpointDir(const std::string& attempt_dir) const {
  return run_.program ? JoinPath(attempt_dir, kProgramWorkFolder) : attempt_dir;
}

absl::Status RunStart::Prepare(const std::vector<Member>& members) const {
  return run_.program ? PrepareProgram(members) : PrepareTrainer(members);
}

absl::Status RunStart::PrepareTrainer(const std::vector<Member>& members) const {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Member& member : members) {
    COPPICE_RETURN_IF_ERROR(MakeDirectories(member.attempt_dir));
    nlohmann::ordered_json entry = {{"seed", member.seed}, {"checkpoint_dir", member.attempt_dir}};
    if (!member.resume.empty()) entry["resume"] = member.resume;
    list.push_back(std::move(entry));
  }
  // The text of the run is passed on unchanged.
  return WriteFileAtomically(spec_path_,
                             absl::StrCat("{\"run\": ", run_.json, ",\n \"members\": ", list.dump(),
                                          ",\n \"threads\": ", threads_, ", \"device\": ",
                                          nlohmann::json(device_).dump(), ", \"prune\": false}\n"));
}

absl::Status RunStart::PrepareProgram(const std::vector<Member>& members) const {
  std::vector<ProgramMember> list;
  list.reserve(members.size());
  for (const Member& member : members) {
    ProgramMember entry;
    entry.seed = member.seed;
    COPPICE_ASSIGN_OR_RETURN(entry.checkpoint_dir, MakeWorkFolder(member.attempt_dir));
    if (!member.resume.empty()) {
      COPPICE_ASSIGN_OR_RETURN(
          entry.resume, UnpackCheckpoint(member.resume, member.attempt_dir, member.resume_step));
      entry.resume_step = member.resume_step;
    }
    list.push_back(std::move(entry));
  }
  // The settings may be nobody else's business.
  return ReplaceSecretFile(spec_path_, ProgramSpec(*run_.program, list, Slot()));
}

ProcessCommand RunStart::Command() const {
  if (run_.program) return ProgramCommand(*run_.program, Slot(), spec_path_, log_path_);
  ProcessCommand command;
  command.argv = {trainer_, "--spec", spec_path_};
  command.environment = TrainerEnvironment(threads_, gpu_);
  command.log_path = log_path_;
  return command;
}

}  // namespace coppice::worker

#include "tests/simulation/sim_trainer.h"

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "common/base/checkpoint_file.h"
#include "common/base/files.h"
#include "common/base/safetensors.h"
#include "common/base/status_macros.h"
#include "tests/simulation/full_disk.h"

namespace coppice::simulation {
namespace {

using Json = nlohmann::json;

constexpr int kExitPreempted = 75;

// Parses the job and attempt of <root>/<sweep>/<job>/attempt-<attempt>.
LeaseKey LeaseOf(const std::string& folder) {
  const std::vector<std::string> parts = absl::StrSplit(folder, '/');
  const std::vector<std::string> attempt = absl::StrSplit(parts.back(), '-');
  return {std::stoull(parts[parts.size() - 2]), std::stoull(attempt.back())};
}

std::string FileOf(const std::string& folder, uint32_t step) {
  return absl::StrFormat("%s/step-%09d.safetensors", folder, step);
}

template <typename T>
T ValueOf(const SafetensorsFile& file, const std::string& name) {
  T value;
  std::copy_n(file.tensors().at(name).data, sizeof(T), reinterpret_cast<char*>(&value));
  return value;
}

}  // namespace

void SimTrainer::Start() {
  host_.world->For(life_, random().Time(absl::Milliseconds(20), absl::Milliseconds(500)),
                   [this] { Begin(); });
}

void SimTrainer::Begin() {
  if (!*host_.healed && random().Chance(3 * host_.schedule->rates.trainer)) {
    host_.world->Did(Fault::kTrainerNotStarted);
    worker::ProcessExit exit;
    exit.spawn = absl::InternalError("cannot start the trainer");
    life_.reset();
    return callbacks_.on_exit(exit);
  }
  const absl::Status read = ReadSpec();
  // These failures are legitimate: the machine is gone, the lease is over and the file was
  // collected, or the schedule damaged the file. If one of them were charged, it would be seen at
  // the end.
  if (!read.ok() && (orphan_ || lost_its_file_)) return Exit(1, 0);
  if (!read.ok()) {
    host_.world->Violation("a trainer cannot start: " + read.ToString());
    return Exit(1, 0);
  }
  callbacks_.on_stderr("training\n");
  SayMembers("start",
             absl::StrCat(R"(,"protocol":1,"version":"sim","provenance":{"build":"sim"},"steps":)",
                          steps_, R"(,"parameters":1)"));
  ScheduleTick();
}

absl::Status SimTrainer::ReadSpec() {
  COPPICE_ASSIGN_OR_RETURN(const std::string text, ReadFile(command_.argv.at(2)));
  const Json spec = Json::parse(text);
  const Json& run = spec.at("run");
  run_ = run.dump();
  steps_ = run.at("train").at("steps");
  report_every_ = run.at("report").at("every");
  has_stall_limit_ = run.at("report").contains("stall_seconds");
  checkpoint_every_ = run.at("checkpoint").at("every");
  for (const Json& entry : spec.at("members")) {
    Member member;
    member.point = {run.at("task").get<std::string>(), run.at("depth").get<uint32_t>(),
                    entry.at("seed").get<uint32_t>()};
    member.folder = entry.at("checkpoint_dir").get<std::string>();
    member.lease = LeaseOf(member.folder);
    member.resume = entry.value("resume", "");
    member.state = StartState(member.point);
    COPPICE_RETURN_IF_ERROR(Load(member));
    members_.push_back(std::move(member));
  }
  return absl::OkStatus();
}

absl::Status SimTrainer::Load(Member& member) {
  if (member.resume.empty()) return absl::OkStatus();
  // A later attempt has committed its own checkpoints, and this one is no longer kept.
  lost_its_file_ = lost_its_file_ || host_.ledger->IsDamagedFile(member.resume) ||
                   !FileExists(member.folder) || host_.is_over(member.lease);
  COPPICE_ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::Read(member.resume));
  COPPICE_ASSIGN_OR_RETURN(const CheckpointIdentity identity,
                           ReadCheckpointIdentity(file.metadata()));
  if (identity.seed != std::get<2>(member.point)) {
    return absl::DataLossError(absl::StrCat(member.resume, " belongs to another seed"));
  }
  member.step = static_cast<uint32_t>(identity.step);
  member.checkpoint_step = identity.step;
  member.state = static_cast<uint64_t>(ValueOf<int64_t>(file, "report.loss_steps"));
  member.reported = static_cast<uint32_t>(ValueOf<int64_t>(file, "report.reported_step"));
  member.evaluating =
      IsReportStep(member.step, report_every_, steps_) && member.reported < member.step;
  return absl::OkStatus();
}

void SimTrainer::ScheduleTick() {
  const absl::Duration step = host_.schedule->step_time;
  host_.world->For(life_, random().Time(step * 3 / 4, step * 5 / 4), [this] { Tick(); });
}

bool SimTrainer::AnyActive() const {
  return std::any_of(members_.begin(), members_.end(), [](const Member& m) { return !m.ended; });
}

void SimTrainer::Tick() {
  if (hangs_until_ > host_.world->now()) {
    return host_.world->For(life_, hangs_until_ - host_.world->now(), [this] { Tick(); });
  }
  if (terminate_) return PreemptAll();
  if (!*host_.healed && random().Chance(host_.schedule->rates.trainer)) {
    Misbehave();
    if (!alive()) return;
  }
  for (Member& member : members_) {
    if (!member.ended) Advance(member);
  }
  if (!AnyActive()) return Exit(any_failed_ ? 1 : 0, 0);
  if (has_stall_limit_ || random().Chance(0.3)) {
    SayMembers("progress", R"(,"steps_per_second":1.5)");
  }
  ScheduleTick();
}

// Runs one step, or the evaluation after one.
void SimTrainer::Advance(Member& member) {
  if (member.evaluating) {
    Report(member);
    return AfterStep(member);
  }
  if (member.step < steps_) {
    ++member.step;
    member.state = NextState(member.state, member.step);
    const auto diverges = host_.schedule->diverges.find(member.point);
    if (diverges != host_.schedule->diverges.end() && diverges->second <= member.step) {
      host_.world->Did(Fault::kDiverged);
      host_.ledger->CausedFailure(member.lease);
      return Fail(member, "nan", "the loss is not finite");
    }
    member.evaluating = IsReportStep(member.step, report_every_, steps_);
    if (member.evaluating) return;
  }
  AfterStep(member);
}

void SimTrainer::Report(Member& member) {
  member.evaluating = false;
  member.reported = member.step;
  Say(absl::StrFormat(R"({"event":"metrics","seed":%d,"step":%d,"values":{"val_loss":%.17g}})",
                      std::get<2>(member.point), member.step, LossOf(member.state)));
  // A program that averages over its reports begins anew here. What it saves now is no state of a
  // longer run.
  if (member.step % report_every_ != 0) member.state = Mix(member.state);
}

bool SimTrainer::CheckpointDue(const Member& member) const {
  return (member.step % checkpoint_every_ == 0 || member.step == steps_) &&
         member.checkpoint_step != member.step;
}

void SimTrainer::AfterStep(Member& member) {
  if (CheckpointDue(member) && !Checkpoint(member)) return;
  if (member.step < steps_) return;
  member.ended = true;
  Say(absl::StrFormat(R"({"event":"done","seed":%d,"step":%d})", std::get<2>(member.point),
                      member.step));
}

absl::Status SimTrainer::WriteFile(const Member& state, const std::string& path) {
  const float zero = 0;
  const double nothing = 0;
  const auto chain = static_cast<int64_t>(state.state);
  const int64_t reported = state.reported;
  COPPICE_ASSIGN_OR_RETURN(const WrittenFile file,
                           WriteSafetensors(path,
                                            {{"model.w", DType::kF32, {1}, &zero},
                                             {"adam_m.w", DType::kF32, {1}, &zero},
                                             {"adam_v.w", DType::kF32, {1}, &zero},
                                             {"report.loss_sum", DType::kF64, {1}, &nothing},
                                             {"report.grad_norm", DType::kF64, {1}, &nothing},
                                             {"report.loss_steps", DType::kI64, {1}, &chain},
                                             {"report.reported_step", DType::kI64, {1}, &reported}},
                                            {{"format", std::string(kCheckpointFormat)},
                                             {"version", std::string(kCheckpointVersion)},
                                             {"seed", absl::StrCat(std::get<2>(state.point))},
                                             {"step", absl::StrCat(state.step)},
                                             {"run", run_}}));
  Say(absl::StrFormat(
      R"({"event":"checkpoint","seed":%d,"step":%d,"path":"%s","digest":"%s","bytes":%d})",
      std::get<2>(state.point), state.step, path, file.digest, file.bytes));
  return absl::OkStatus();
}

bool SimTrainer::Checkpoint(Member& member) {
  if (!FinishSnapshot(member)) return false;
  if (member.step == steps_) return WriteCheckpoint(member, member);
  member.checkpoint_step = member.step;
  member.snapshot = std::make_shared<const Member>(member);
  const auto index = static_cast<size_t>(&member - members_.data());
  host_.world->For(life_, random().Time(absl::ZeroDuration(), 3 * host_.schedule->step_time),
                   [this, index, step = member.step] { WriteSnapshot(index, step); });
  return true;
}

void SimTrainer::WriteSnapshot(size_t index, uint32_t step) {
  Member& member = members_[index];
  if (member.snapshot == nullptr || member.snapshot->step != step) return;
  if (hangs_until_ > host_.world->now()) {
    return host_.world->For(life_, hangs_until_ - host_.world->now(),
                            [this, index, step] { WriteSnapshot(index, step); });
  }
  FinishSnapshot(member);
}

bool SimTrainer::FinishSnapshot(Member& member) {
  const auto snapshot = std::exchange(member.snapshot, nullptr);
  return snapshot == nullptr || WriteCheckpoint(member, *snapshot);
}

absl::Status SimTrainer::TryWrite(const Member& state) {
  const FullDisk disk(*host_.disk_full);
  return WriteFile(state, FileOf(state.folder, state.step));
}

bool SimTrainer::WriteCheckpoint(Member& member, const Member& state) {
  const absl::Status status = TryWrite(state);
  if (status.ok()) {
    member.checkpoint_step = state.step;
    return true;
  }
  if (*host_.disk_full) {
    host_.world->Did(Fault::kCheckpointDiskFull);
    host_.ledger->CausedFailure(member.lease);
  } else if (!absl::IsNotFound(status)) {  // the folder of an ended lease may be gone
    host_.world->Violation("a trainer cannot write a checkpoint: " + status.ToString());
  }
  Fail(member, "disk", "the checkpoint cannot be written");
  return false;
}

void SimTrainer::Fail(Member& member, const std::string& kind, const std::string& message) {
  // A pending snapshot is announced before the failure. If it cannot be written, that is not the
  // cause of the failure.
  if (const auto snapshot = std::exchange(member.snapshot, nullptr)) {
    TryWrite(*snapshot).IgnoreError();
  }
  member.ended = true;
  any_failed_ = true;
  Say(absl::StrFormat(R"({"event":"failed","seed":%d,"step":%d,"kind":"%s","message":"%s"})",
                      std::get<2>(member.point), member.step, kind, message));
}

void SimTrainer::PreemptAll() {
  for (Member& member : members_) {
    if (member.ended) continue;
    if (member.snapshot != nullptr && random().Chance(0.5)) {  // not being written yet
      member.snapshot = nullptr;
      member.checkpoint_step = -1;
    }
    if (!FinishSnapshot(member)) continue;
    if (member.checkpoint_step != member.step && !WriteCheckpoint(member, member)) continue;
    member.ended = true;
    Say(absl::StrFormat(R"({"event":"preempted","seed":%d,"step":%d})", std::get<2>(member.point),
                        member.step));
  }
  Exit(kExitPreempted, 0);
}

void SimTrainer::Signal(int signal) {
  if (!alive() || orphan_) return;
  if (signal == SIGKILL) return Exit(0, SIGKILL);
  if (hangs_until_ > host_.world->now()) return;  // it does not react
  terminate_ = true;
}

void SimTrainer::Orphan() {
  if (!alive()) return;
  orphan_ = true;
  host_.world->For(life_, random().Time(absl::ZeroDuration(), absl::Seconds(30)),
                   [this] { life_.reset(); });
}

}  // namespace coppice::simulation

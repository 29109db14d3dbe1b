#include "worker/daemon/pack_run.h"

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/failure_kind.h"
#include "common/base/files.h"
#include "common/base/logging.h"
#include "common/base/printable.h"
#include "common/base/status_macros.h"
#include "common/base/utf8.h"
#include "worker/daemon/exit_text.h"
#include "worker/daemon/thread_settings.h"

namespace coppice::worker {
namespace {

// The interval at which a trainer reports its progress.
constexpr absl::Duration kReportInterval = absl::Seconds(2);
constexpr size_t kMaxRefusalBytes = 1000;

// People and schedulers ask a process to end by these signals. This daemon uses SIGTERM too, but a
// running trainer answers it with an exit code.
bool IsRequestToStop(int signal) {
  return signal == SIGTERM || signal == SIGINT || signal == SIGHUP || signal == SIGUSR1 ||
         signal == SIGUSR2;
}

}  // namespace

PackRun::PackRun(const Environment* environment, Session* session, const PackConfig* config,
                 std::string name, GrantedRun run,
                 std::vector<std::shared_ptr<AttemptReporter>> reporters, Packing packing,
                 std::function<void(Result)> on_finished)
    : environment_(environment),
      session_(session),
      config_(config),
      name_(std::move(name)),
      run_(std::move(run)),
      packing_(packing),
      on_finished_(std::move(on_finished)),
      callbacks_(environment->main),
      members_(reporters.size()),
      log_(environment,
           [this](const std::string& text) {
             for (Member& member : members_) member.reporter->Log(text);
           }),
      trainer_stop_(environment, name_),
      stall_watch_(environment, run_.stall) {
  for (size_t i = 0; i < reporters.size(); ++i) {
    members_[i].reporter = std::move(reporters[i]);
    members_[i].checkpoint_dir =
        JoinPath(config_->checkpoints.root, members_[i].reporter->lease().checkpoint_dir());
  }
}

PackRun::~PackRun() {
  if (question_) packing_.widths->Cancel(*question_);
}

void PackRun::Start() {
  // A job that is alone, with no other waiting, needs no width.
  if (packing_.widths == nullptr || (members_.size() == 1 && !packing_.unmeasured)) return Check();
  phase_ = Phase::kMeasuring;
  const auto done = [this](uint32_t width) {
    question_.reset();
    OnWidth(width);
  };
  question_ = packing_.widths->Find(run_, done, packing_.gpu);
}

void PackRun::OnWidth(uint32_t width) {
  constexpr absl::string_view kReason = "packs of its kind have another width on this worker";
  if (packing_.unmeasured && width > members_.size()) {
    for (Member& member : members_) member.reporter->ReleaseMeasured(kReason, width);
    result_.width_release = members_.front().reporter->key();
    spdlog::info("{}: given back, to ask for a pack of {}", name_, width);
    return Finish();
  }
  for (size_t i = width; i < members_.size(); ++i) {
    members_[i].ended = true;
    members_[i].reporter->ReleaseMeasured(kReason, width);
  }
  Check();
}

void PackRun::Check() {
  phase_ = Phase::kChecking;
  for (Member& member : members_) {
    if (member.reporter->ended()) continue;
    member.check = std::make_unique<ResumeCheck>(
        environment_, session_, config_->checkpoints, member.reporter->lease(),
        [this, &member](absl::Status status, std::optional<v1::Checkpoint> resume) {
          OnChecked(&member, std::move(status), std::move(resume));
        });
    member.check->Start();
  }
}

void PackRun::OnChecked(Member* member, absl::Status status, std::optional<v1::Checkpoint> resume) {
  if (phase_ != Phase::kChecking) return;
  member->checked = true;
  member->resume = std::move(resume);
  member->step = member->resume ? member->resume->step() : 0;
  if (status.ok()) member->reporter->SetStart(member->step);
  if (absl::IsAborted(status)) {
    member->reporter->Abandon();
  } else if (!status.ok()) {
    return Trouble(absl::StrCat("the checkpoint of step ", member->step,
                                " cannot be read on this worker: ", status.message()));
  }
  const auto checked = [](const Member& m) { return m.checked || m.reporter->ended(); };
  if (!std::all_of(members_.begin(), members_.end(), checked)) return;
  if (!AnyActive()) return Finish();
  WriteSpec();
}

void PackRun::WriteSpec() {
  phase_ = Phase::kStarting;
  std::vector<std::string> folders;
  for (const Member& member : members_) {
    if (!member.reporter->ended()) folders.push_back(member.checkpoint_dir);
  }
  environment_->background([folders, path = JoinPath(config_->runs_dir, name_ + ".json"),
                            json = SpecJson(), done = callbacks_.Bind([this](absl::Status status) {
                              if (phase_ != Phase::kStarting) return;
                              if (!status.ok()) return Trouble(std::string(status.message()));
                              Launch();
                            })] {
    const auto write = [&]() -> absl::Status {
      for (const std::string& folder : folders) COPPICE_RETURN_IF_ERROR(MakeDirectories(folder));
      return WriteFileAtomically(path, json);
    };
    done(write());
  });
}

std::string PackRun::SpecJson() const {
  nlohmann::ordered_json members = nlohmann::ordered_json::array();
  for (const Member& member : members_) {
    if (member.reporter->ended()) continue;
    nlohmann::ordered_json entry = {{"seed", member.seed()},
                                    {"checkpoint_dir", member.checkpoint_dir}};
    if (member.resume) entry["resume"] = member.check->file();
    members.push_back(std::move(entry));
  }
  // The text of the run is passed on unchanged.
  return absl::StrCat("{\"run\": ", run_.json, ",\n \"members\": ", members.dump(),
                      ",\n \"threads\": ", config_->threads,
                      ", \"device\": ", nlohmann::json(config_->device).dump(),
                      ", \"prune\": false}\n");
}

void PackRun::Launch() {
  if (!AnyActive()) return Finish();
  phase_ = Phase::kRunning;
  std::vector<TrainerEventReader::Member> expected;
  for (const Member& member : members_) {
    if (!member.reporter->ended()) {
      expected.push_back({member.seed(), member.step, member.checkpoint_dir});
    }
  }
  width_ = static_cast<uint32_t>(expected.size());
  reader_ = std::make_unique<TrainerEventReader>(std::move(expected), run_.steps);
  ProcessCommand command;
  command.argv = {config_->trainer, "--spec", JoinPath(config_->runs_dir, name_ + ".json")};
  command.environment = TrainerEnvironment(config_->threads, packing_.gpu);
  command.log_path = JoinPath(config_->logs_dir, name_ + ".log");
  ProcessCallbacks callbacks;
  callbacks.on_stdout = callbacks_.Bind([this](const std::string& bytes) { OnStdout(bytes); });
  callbacks.on_stderr = callbacks_.Bind([this](const std::string& bytes) { OnStderr(bytes); });
  callbacks.on_exit = callbacks_.Bind([this](const ProcessExit& exit) { OnExit(exit); });
  process_ = environment_->launcher->Start(std::move(command), std::move(callbacks));
  trainer_stop_.Watch(process_.get());
  stall_watch_.Start([this] { OnStalled(); });
  spdlog::info("{}: trainer started", name_);
}

void PackRun::OnStdout(const std::string& bytes) {
  if (garbage_.empty()) {
    std::vector<TrainerEvent> events;
    const absl::Status status = reader_->Feed(bytes, &events);
    for (const TrainerEvent& event : events) Handle(event);
    if (!status.ok()) OnGarbage(status);
  }
  process_->ReadMore(Process::Pipe::kStdout);
}

void PackRun::OnStderr(const std::string& bytes) {
  log_.Add(bytes);
  process_->ReadMore(Process::Pipe::kStderr);
}

bool PackRun::ShowsProgress(const TrainerEvent& event) {
  const auto* progress = std::get_if<TrainerProgress>(&event);
  if (progress == nullptr || !progress->activity.has_value()) return true;
  // These events are periodic, so only a changed content counts as progress.
  bool on = std::exchange(activity_, *progress->activity) != *progress->activity;
  for (const auto& [seed, step] : progress->members) on = on || step > Find(seed)->step;
  return on;
}

void PackRun::DescribePace(v1::HeldLease* held) const {
  if (!stall_watch_.running()) return;
  const absl::Duration silence = stall_watch_.silence();
  held->set_silent_ms(static_cast<uint64_t>(absl::ToInt64Milliseconds(silence)));
  held->set_stall_ms(static_cast<uint64_t>(absl::ToInt64Milliseconds(stall_watch_.limit())));
  // Since the last pause began, only the steps of that pause were done.
  const absl::Duration pause = std::max(stall_watch_.last_pause(), kReportInterval);
  if (silence <= 2 * pause) return;
  held->set_steps_per_second(held->steps_per_second() * absl::FDivDuration(pause, silence));
}

void PackRun::OnStalled() {
  if (!stop_reason_.empty()) return;  // it is killed in time already
  const bool set = run_.stall > absl::ZeroDuration();
  stalled_ = absl::StrCat(
      "its trainer did not report or get on for ", absl::FormatDuration(stall_watch_.limit()),
      set ? ", the limit that report.stall_seconds sets"
          : absl::StrCat(", which is ", StallWatch::kPauses,
                         " times its longest pause so far or the least that is waited; "
                         "report.stall_seconds of the sweep sets another limit"),
      "; it was killed");
  spdlog::error("{}: {}", name_, stalled_);
  trainer_stop_.Kill();
}

void PackRun::Handle(const TrainerEvent& event) {
  if (ShowsProgress(event)) stall_watch_.GotOn();
  if (const auto* start = std::get_if<TrainerStart>(&event)) {
    started_ = true;
    for (const auto& [seed, step] : start->members) {
      Find(seed)->reporter->Start(start->provenance, step);
    }
  } else if (const auto* progress = std::get_if<TrainerProgress>(&event)) {
    for (const auto& [seed, step] : progress->members) {
      Member* member = Find(seed);
      member->step = std::max(member->step, step);
      member->reporter->SetProgress(step, progress->steps_per_second);
    }
  } else if (const auto* metrics = std::get_if<TrainerMetrics>(&event)) {
    Member* member = Find(metrics->seed);
    member->step = std::max(member->step, metrics->step);
    v1::MetricRow row;
    row.set_step(metrics->step);
    for (const auto& [name, value] : metrics->values) {
      v1::MetricValue* entry = row.add_values();
      entry->set_name(name);
      entry->set_value(value);
    }
    member->reporter->Row(std::move(row));
  } else if (const auto* checkpoint = std::get_if<TrainerCheckpoint>(&event)) {
    Member* member = Find(checkpoint->seed);
    member->step = std::max(member->step, checkpoint->step);
    spdlog::debug(
        "{}: seed {}: checkpoint of step {}: written in {:.0f} ms, training stood still for {:.0f} "
        "ms",
        name_, checkpoint->seed, checkpoint->step, checkpoint->write_ms, checkpoint->stall_ms);
    member->reporter->Checkpoint(
        checkpoint->step, JoinPath(member->reporter->lease().checkpoint_dir(), checkpoint->file),
        checkpoint->digest, checkpoint->bytes);
  } else if (const auto* done = std::get_if<TrainerDone>(&event)) {
    Member* member = Find(done->seed);
    log_.Flush();
    member->ended = true;
    member->reporter->Complete(done->step);
  } else if (const auto* failed = std::get_if<TrainerFailed>(&event)) {
    Member* member = Find(failed->seed);
    log_.Flush();
    member->ended = true;
    if (failed->kind == FailureKind::kOutOfMemory)
      return OutOfMemory(member, failed->step, failed->message);
    spdlog::warn("{}: seed {} failed at step {}: {}: {}", name_, failed->seed, failed->step,
                 std::string(FailureKindText(failed->kind)), failed->message);
    if (failed->kind == FailureKind::kCheckpoint && member->resume) {
      return member->reporter->FailUnlessDamaged({member->check->file(), member->resume->digest()},
                                                 failed->step, failed->message, log_.tail());
    }
    result_.troubled = result_.troubled || !started_;
    member->reporter->Fail(failed->step, failed->kind, failed->message, log_.tail());
  } else if (const auto* preempted = std::get_if<TrainerPreempted>(&event)) {
    Member* member = Find(preempted->seed);
    log_.Flush();
    member->ended = true;
    member->reporter->ReleasePreempted(StopReason());
  } else if (const auto* refused = std::get_if<TrainerRefused>(&event)) {
    refused_ = Utf8Head(PrintableLine(refused->message), kMaxRefusalBytes);
    if (refused_.empty()) refused_ = "the trainer does not say why";
    spdlog::error("{}: the trainer refuses the run: {}", name_, refused_);
  }
}

void PackRun::OnGarbage(const absl::Status& what) {
  garbage_ = absl::StrCat("trainer's output: ", what.message());
  trainer_stop_.Kill();
  spdlog::error("{}: the trainer's output is not to be trusted: {}", name_,
                std::string(what.message()));
}

void PackRun::OnExit(const ProcessExit& exit) {
  trainer_stop_.OnExit();
  stall_watch_.Stop();
  if (!exit.spawn.ok()) return Trouble(std::string(exit.spawn.message()));
  spdlog::info("{}: trainer {}", name_, DescribeExit(exit));
  log_.Finish();
  for (Member& member : members_) {
    if (!member.reporter->ended()) EndMember(&member, exit);
  }
  Finish();
}

void PackRun::EndMember(Member* member, const ProcessExit& exit) {
  // The failure is reported only now, because the trainer's log about it arrives on another pipe.
  if (!garbage_.empty())
    return member->reporter->Fail(member->step, FailureKind::kGarbage, garbage_, log_.tail());
  if (!stop_reason_.empty() || exit.code == kTrainerExitPreempted) {
    // This holds even if the trainer did not write its checkpoint: the attempt was stopped and did
    // not fail.
    return member->reporter->ReleasePreempted(StopReason());
  }
  if (!stalled_.empty()) {
    result_.troubled = true;
    return member->reporter->Fail(member->step, FailureKind::kStalled, stalled_, log_.tail());
  }
  if (IsRequestToStop(exit.signal)) {
    // The signal came before the trainer could handle it, from somebody who stops everything here.
    result_.troubled = true;
    return member->reporter->ReleasePreempted(absl::StrCat("the trainer ", DescribeExit(exit)));
  }
  if (exit.out_of_memory) {
    return OutOfMemory(member, member->step, absl::StrCat("the trainer ", DescribeExit(exit)));
  }
  result_.troubled = result_.troubled || !started_;
  const bool usage = exit.signal == 0 && exit.code == kTrainerExitUsage;
  if (usage && !refused_.empty())
    return member->reporter->Fail(member->step, FailureKind::kRefused, refused_, log_.tail());
  member->reporter->Fail(
      member->step, usage ? FailureKind::kInternal : FailureKind::kCrashed,
      absl::StrCat("the trainer ", DescribeExit(exit), " before seed ", member->seed(), " ended"),
      log_.tail());
}

void PackRun::OutOfMemory(Member* member, uint32_t step, const std::string& message) {
  // The coordinator learns of the release a moment later. Until then the slot must not be given a
  // wide pack again.
  result_.troubled = true;
  spdlog::warn("{}: seed {}: out of memory in a pack of {}: {}", name_, member->seed(), width_,
               message);
  if (width_ > 1) {
    return member->reporter->ReleaseTooWide(
        absl::StrCat("out of memory in a pack of ", width_, ": ", message), width_);
  }
  member->reporter->Fail(
      step, FailureKind::kOutOfMemory,
      absl::StrCat(message,
                   "; one job alone does not fit this worker's memory: use a device with "
                   "more of it, fewer slots, or a smaller model or batch"),
      log_.tail());
}

void PackRun::Preempt(const std::string& reason, absl::Duration within) {
  if (phase_ == Phase::kFinished) return;
  if (stop_reason_.empty()) stop_reason_ = reason;
  if (phase_ != Phase::kRunning) {
    for (Member& member : members_) member.reporter->ReleaseUntrained(stop_reason_);
    return Finish();
  }
  trainer_stop_.AskToEnd(std::min(within, config_->grace));
}

std::string PackRun::StopReason() const {
  return stop_reason_.empty() ? "the trainer was asked to stop by somebody else" : stop_reason_;
}

void PackRun::OnLeaseEnded(const LeaseKey& key) {
  if (phase_ == Phase::kFinished) return;
  for (const Member& member : members_) {
    // A member whose training is over does not stop the others.
    if (member.reporter->key() == key && member.ended) return;
  }
  if (!AnyActive()) return Preempt("no lease of this pack is left", config_->stop_grace);
  Preempt("another job of its pack was stopped");
}

void PackRun::Kill(const std::string& reason) {
  if (phase_ == Phase::kFinished) return;
  if (phase_ != Phase::kRunning) return Preempt(reason);
  if (stop_reason_.empty()) stop_reason_ = reason;
  trainer_stop_.Kill();
}

void PackRun::Trouble(const std::string& reason) {
  spdlog::error("{}: {}", name_, reason);
  result_.troubled = true;
  ReleaseAll(reason);
  Finish();
}

void PackRun::ReleaseAll(const std::string& reason) {
  for (Member& member : members_) member.reporter->ReleasePreempted(reason);
}

void PackRun::Finish() {
  phase_ = Phase::kFinished;
  if (question_) packing_.widths->Cancel(*std::exchange(question_, std::nullopt));
  on_finished_(result_);
}

PackRun::Member* PackRun::Find(uint32_t seed) {
  // The reader lets no other seed through.
  return &*std::find_if(members_.begin(), members_.end(),
                        [seed](const Member& member) { return member.seed() == seed; });
}

bool PackRun::AnyActive() const {
  return std::any_of(members_.begin(), members_.end(),
                     [](const Member& member) { return !member.reporter->ended(); });
}

}  // namespace coppice::worker

#include "worker/daemon/pack_run.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/failure_kind.h"
#include "common/base/files.h"
#include "common/base/logging.h"
#include "common/base/printable.h"
#include "common/base/status_macros.h"
#include "common/base/utf8.h"
#include "worker/program/exit_text.h"

namespace coppice::worker {
namespace {

// The interval at which a trainer reports its progress.
constexpr absl::Duration kReportInterval = absl::Seconds(2);
constexpr size_t kMaxRefusalBytes = 1000;

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
      start_(*config, run_, name_, packing_.gpu),
      on_finished_(std::move(on_finished)),
      callbacks_(environment->main),
      members_(reporters.size()),
      log_(environment,
           [this](const std::string& text) {
             for (Member& member : members_) member.reporter->Log(text);
           }),
      trainer_stop_(environment, name_),
      stall_watch_(environment, run_.stall),
      time_limit_(environment) {
  trainer_.program = run_.program.has_value();
  for (size_t i = 0; i < reporters.size(); ++i) {
    members_[i].reporter = std::move(reporters[i]);
    members_[i].attempt_dir =
        JoinPath(config_->checkpoints.root, members_[i].reporter->lease().checkpoint_dir());
  }
}

PackRun::~PackRun() {
  if (question_) packing_.widths->Cancel(*question_);
}

void PackRun::Start() {
  // A job that is alone, with no other waiting, needs no width. The width of a program's packs is
  // the user's to say.
  if (packing_.widths == nullptr || run_.program || (members_.size() == 1 && !packing_.unmeasured))
    return Check();
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
  std::vector<RunStart::Member> members;
  for (const Member& member : members_) {
    if (member.reporter->ended()) continue;
    members.push_back({member.seed(), member.attempt_dir, member.resume ? member.check->file() : "",
                       member.step});
  }
  environment_->background([start = start_, members = std::move(members),
                            done = callbacks_.Bind([this](const absl::Status& status) {
                              OnPrepared(status);
                            })] { done(start.Prepare(members)); });
}

void PackRun::OnPrepared(const absl::Status& status) {
  if (phase_ != Phase::kStarting) return;
  if (absl::IsDataLoss(status)) {
    // The digest was right, so it would be no better elsewhere.
    for (Member& member : members_) {
      member.reporter->Fail(member.step, FailureKind::kCheckpoint, status.message(), "");
    }
    result_.troubled = true;
    return Finish();
  }
  if (!status.ok()) return Trouble(std::string(status.message()));
  Launch();
}

void PackRun::Launch() {
  if (!AnyActive()) return Finish();
  phase_ = Phase::kRunning;
  std::vector<TrainerEventReader::Member> expected;
  for (const Member& member : members_) {
    if (!member.reporter->ended()) {
      expected.push_back({member.seed(), member.step, start_.CheckpointDir(member.attempt_dir)});
    }
  }
  width_ = static_cast<uint32_t>(expected.size());
  reader_ = std::make_unique<TrainerEventReader>(std::move(expected), run_.steps,
                                                 run_.program ? run_.program->report_every : 0);
  ProcessCallbacks callbacks;
  callbacks.on_stdout = callbacks_.Bind([this](const std::string& bytes) { OnStdout(bytes); });
  callbacks.on_stderr = callbacks_.Bind([this](const std::string& bytes) { OnStderr(bytes); });
  callbacks.on_exit = callbacks_.Bind([this](const ProcessExit& exit) { OnExit(exit); });
  process_ = environment_->launcher->Start(start_.Command(), std::move(callbacks));
  trainer_stop_.Watch(process_.get());
  stall_watch_.Start([this] { OnStalled(); });
  if (run_.program && run_.program->time_limit < absl::InfiniteDuration()) {
    time_limit_.Start(run_.program->time_limit, [this] { OnTimeUp(); });
  }
  spdlog::info("{}: {} started", name_, trainer_.Word());
}

void PackRun::OnStdout(const std::string& bytes) {
  if (!trainer_.fault) {
    std::vector<TrainerEvent> events;
    bad_event_ = reader_->Feed(bytes, &events);
    for (TrainerEvent& event : events) events_.push_back(std::move(event));
  }
  HandleEvents();
}

// The next piece of output is read only when all events are handled, so the process's end comes
// after them.
void PackRun::HandleEvents() {
  while (!taking_ && !events_.empty()) {
    const TrainerEvent event = std::move(events_.front());
    events_.pop_front();
    if (!trainer_.fault) Handle(event);
  }
  if (taking_) return;
  if (!bad_event_.ok() && !trainer_.fault) OnGarbage(bad_event_);
  process_->ReadMore(Process::Pipe::kStdout);
}

void PackRun::Take(const TrainerCheckpoint& checkpoint) {
  taking_ = true;
  stall_watch_.Stop();  // from here on the time is this worker's
  environment_->background(
      [folder = Find(checkpoint.seed)->attempt_dir, checkpoint,
       done = callbacks_.Bind([this, checkpoint](const absl::StatusOr<TakenCheckpoint>& taken) {
         OnTaken(checkpoint, taken);
       })] { done(TakeCheckpoint(folder, checkpoint.file, checkpoint.step)); });
}

void PackRun::OnTaken(const TrainerCheckpoint& checkpoint,
                      const absl::StatusOr<TakenCheckpoint>& taken) {
  taking_ = false;
  if (!trainer_.overdue) stall_watch_.Start([this] { OnStalled(); });
  if (taken.ok()) {
    const AttemptReporter& reporter = *Find(checkpoint.seed)->reporter;
    Find(checkpoint.seed)
        ->reporter->Checkpoint(checkpoint.step,
                               JoinPath(reporter.lease().checkpoint_dir(), taken->file),
                               taken->digest, taken->bytes);
  } else if (absl::IsInvalidArgument(taken.status())) {
    OnGarbage(taken.status());
  } else {
    Distrust(FailureKind::kDisk, absl::StrCat("a checkpoint of step ", checkpoint.step,
                                              " could not be saved: ", taken.status().message()));
  }
  HandleEvents();
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
  if (!trainer_.stop_reason.empty()) return;  // it is killed in time already
  std::string limit = ", the limit that report.stall_seconds sets";
  if (!run_.stall_set) {
    limit = absl::StrCat(run_.program ? ", the limit for programs"
                                      : absl::StrCat(", which is ", StallWatch::kPauses,
                                                     " times its longest pause so far or the least "
                                                     "that is waited"),
                         "; report.stall_seconds of the sweep sets another limit");
  }
  trainer_.overdue = TrainerFacts::Fault{
      FailureKind::kStalled,
      absl::StrCat("its ", trainer_.Word(), " did not report or get on for ",
                   absl::FormatDuration(stall_watch_.limit()), limit, "; it was killed")};
  spdlog::error("{}: {}", name_, trainer_.overdue->text);
  trainer_stop_.Kill();
}

void PackRun::OnTimeUp() {
  if (!trainer_.stop_reason.empty() || trainer_.overdue || trainer_.fault) return;
  trainer_.overdue = TrainerFacts::Fault{
      FailureKind::kTimeLimit,
      absl::StrCat("an attempt may run for ", absl::FormatDuration(run_.program->time_limit),
                   ", which program.time_limit of the sweep sets; its program was asked to end")};
  spdlog::error("{}: {}", name_, trainer_.overdue->text);
  stall_watch_.Stop();
  trainer_stop_.AskToEnd(config_->grace);
}

void PackRun::Handle(const TrainerEvent& event) {
  if (ShowsProgress(event)) stall_watch_.GotOn();
  if (const auto* start = std::get_if<TrainerStart>(&event)) {
    trainer_.started = true;
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
    if (run_.program) return Take(*checkpoint);
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
    result_.troubled = result_.troubled || !trainer_.started;
    member->reporter->Fail(failed->step, failed->kind, failed->message, log_.tail());
  } else if (const auto* preempted = std::get_if<TrainerPreempted>(&event)) {
    Member* member = Find(preempted->seed);
    log_.Flush();
    member->ended = true;
    if (trainer_.overdue && trainer_.stop_reason.empty()) {
      return member->reporter->Fail(preempted->step, trainer_.overdue->kind, trainer_.overdue->text,
                                    log_.tail());
    }
    member->reporter->ReleasePreempted(trainer_.StopReason());
  } else if (const auto* refused = std::get_if<TrainerRefused>(&event)) {
    trainer_.refused = Utf8Head(PrintableLine(refused->message), kMaxRefusalBytes);
    if (trainer_.refused.empty())
      trainer_.refused = absl::StrCat("the ", trainer_.Word(), " does not say why");
    spdlog::error("{}: the {} refuses the run: {}", name_, trainer_.Word(), trainer_.refused);
  }
}

void PackRun::OnGarbage(const absl::Status& what) {
  Distrust(FailureKind::kGarbage, absl::StrCat(trainer_.Word(), "'s output: ", what.message()));
}

void PackRun::Distrust(FailureKind kind, const std::string& why) {
  trainer_.fault = TrainerFacts::Fault{kind, why};
  trainer_stop_.Kill();
  spdlog::error("{}: the {} is killed: {}", name_, trainer_.Word(), why);
}

void PackRun::OnExit(const ProcessExit& exit) {
  trainer_stop_.OnExit();
  stall_watch_.Stop();
  time_limit_.Stop();
  RemoveWorkFolders();
  if (!exit.spawn.ok()) return OnNotStarted(exit.spawn);
  spdlog::info("{}: {} {}", name_, trainer_.Word(), DescribeExit(exit));
  if (exit.left_behind > 0) {
    spdlog::warn("{}: {} processes that the program had left behind were killed", name_,
                 exit.left_behind);
  }
  log_.Finish();
  for (Member& member : members_) {
    if (!member.reporter->ended()) EndMember(&member, exit);
  }
  Finish();
}

// The trainer belongs to this machine. A program that is not there is the user's fault, so it is
// charged: otherwise its jobs would be tried for ever.
void PackRun::OnNotStarted(const absl::Status& status) {
  const std::string reason(status.message());
  if (!run_.program) return Trouble(reason);
  spdlog::error("{}: {}", name_, reason);
  result_.troubled = true;
  for (Member& member : members_) {
    member.reporter->Fail(member.step, FailureKind::kInternal, reason, "");
  }
  Finish();
}

void PackRun::RemoveWorkFolders() {
  if (!run_.program) return;
  std::vector<std::string> folders;
  for (const Member& member : members_) folders.push_back(member.attempt_dir);
  environment_->background([folders = std::move(folders)] {
    for (const std::string& folder : folders) {
      const absl::Status removed = RemoveWorkFolder(folder);
      if (!removed.ok()) spdlog::warn("{}", removed.ToString());
    }
  });
}

// The failure is reported only now, because the trainer's log about it arrives on another pipe.
void PackRun::EndMember(Member* member, const ProcessExit& exit) {
  const MemberEnd end = EndOf(trainer_, exit, member->seed());
  result_.troubled = result_.troubled || end.troubled;
  switch (end.kind) {
    case MemberEnd::Kind::kFailed:
      return member->reporter->Fail(member->step, end.failure, end.text, log_.tail());
    case MemberEnd::Kind::kReleased:
      return member->reporter->ReleasePreempted(end.text);
    case MemberEnd::Kind::kOutOfMemory:
      return OutOfMemory(member, member->step, end.text);
  }
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
  if (trainer_.stop_reason.empty()) trainer_.stop_reason = reason;
  if (phase_ != Phase::kRunning) {
    for (Member& member : members_) member.reporter->ReleaseUntrained(trainer_.stop_reason);
    return Finish();
  }
  trainer_stop_.AskToEnd(std::min(within, config_->grace));
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
  if (trainer_.stop_reason.empty()) trainer_.stop_reason = reason;
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

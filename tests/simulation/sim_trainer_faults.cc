// The failures of a SimTrainer, and the pipe between it and its daemon.
#include <csignal>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/simulation/sim_trainer.h"

namespace coppice::simulation {

void SimTrainer::BlameAll() {
  for (const Member& member : members_) {
    if (!member.ended) host_.ledger->CausedFailure(member.lease);
  }
}

void SimTrainer::Misbehave() {
  switch (random().Uniform(0, 4)) {
    case 0:
      return Crash();
    case 1:
      return CrashInCheckpoint();
    case 2:
      return RunOutOfMemory();
    case 3:
      host_.world->Did(Fault::kTrainerHang);
      if (has_stall_limit_) BlameAll();
      hangs_until_ = host_.world->now() + random().Time(absl::Seconds(5), absl::Seconds(60));
      return;
    default:
      host_.world->Did(Fault::kTrainerGarbage);
      BlameAll();
      Say("{\"event\": \"metr");
      return Say("Segmentation fault");
  }
}

void SimTrainer::Crash() {
  host_.world->Did(Fault::kTrainerCrash);
  BlameAll();
  callbacks_.on_stderr("terminate called\n");
  Exit(3, random().Chance(0.5) ? SIGSEGV : 0);
}

// Crashes before the rename, which leaves a partial file under a temporary name, or after it, which
// leaves a complete file that was not announced.
void SimTrainer::CrashInCheckpoint() {
  host_.world->Did(Fault::kTrainerCrashInCheckpoint);
  BlameAll();
  Member& member = members_.front();
  if (!member.ended && random().Chance(0.5)) {
    const std::string before = written_;
    WriteFile(member, absl::StrCat(member.folder, "/unannounced-", member.step, ".safetensors"))
        .IgnoreError();
    written_ = before;
  } else {
    std::ofstream(absl::StrCat(member.folder, "/step-", member.step, ".safetensors.tmp-1-1"))
        << "half a file";
  }
  Exit(0, SIGKILL);
}

// Either the trainer reports it, or the kernel kills the process.
void SimTrainer::RunOutOfMemory() {
  host_.world->Did(Fault::kTrainerOutOfMemory);
  BlameAll();
  if (random().Chance(0.5)) return Exit(0, SIGKILL);
  for (Member& member : members_) {
    if (!member.ended) Fail(member, "out_of_memory", "no memory left");
  }
  Exit(1, 0);
}

void SimTrainer::SayMembers(const std::string& event, const std::string& rest) {
  std::string members;
  for (const Member& member : members_) {
    if (member.ended) continue;
    absl::StrAppend(&members, members.empty() ? "" : ",", R"({"seed":)", std::get<2>(member.point),
                    R"(,"step":)", member.step, "}");
  }
  Say(absl::StrCat(R"({"event":")", event, R"(","members":[)", members, "]", rest, "}"));
}

void SimTrainer::Say(const std::string& line) {
  absl::StrAppend(&written_, line, "\n");
  Pump();
}

void SimTrainer::Pump() {
  if (handed_out_) return;
  if (written_.empty()) {
    if (std::exchange(exited_, false)) callbacks_.on_exit(exit_);
    return;
  }
  handed_out_ = true;
  host_.world->At(
      random().Time(absl::ZeroDuration(), absl::Milliseconds(20)), [self = shared_from_this()] {
        // A reader gets the available data, which may end within a line.
        const size_t size = self->written_.size();
        if (size == 0) return self->ReadMore();
        const size_t piece = self->random().Chance(0.2) ? self->random().Uniform(1, size) : size;
        std::string text = self->written_.substr(0, piece);
        self->written_.erase(0, piece);
        self->callbacks_.on_stdout(std::move(text));
      });
}

void SimTrainer::ReadMore() {
  handed_out_ = false;
  Pump();
}

void SimTrainer::Exit(int code, int signal) {
  life_.reset();
  exit_.code = code;
  exit_.signal = signal;
  // The exit is seen a moment after the last output.
  host_.world->At(absl::Milliseconds(5), [self = shared_from_this()] {
    self->exited_ = true;
    self->Pump();
  });
}

std::unique_ptr<worker::Process> SimLauncher::Start(worker::ProcessCommand command,
                                                    worker::ProcessCallbacks callbacks) {
  class Handle : public worker::Process {
   public:
    explicit Handle(std::shared_ptr<SimTrainer> trainer) : trainer_(std::move(trainer)) {}
    void Signal(int signal) override { trainer_->Signal(signal); }
    void ReadMore(Pipe pipe) override {
      if (pipe == Pipe::kStdout) trainer_->ReadMore();
    }

   private:
    const std::shared_ptr<SimTrainer> trainer_;
  };
  auto trainer = std::make_shared<SimTrainer>(host_, std::move(command), std::move(callbacks));
  trainers_.push_back(trainer);
  trainer->Start();
  return std::make_unique<Handle>(std::move(trainer));
}

void SimLauncher::OrphanAll() {
  for (const auto& trainer : trainers_) trainer->Orphan();
}

}  // namespace coppice::simulation

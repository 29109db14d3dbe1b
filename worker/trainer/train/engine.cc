#include "worker/trainer/train/engine.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "ATen/ops/empty.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/base/logging.h"
#include "common/base/status_macros.h"
#include "worker/trainer/base/activity.h"

namespace coppice::trainer {
namespace {

// The first report comes early, so that a short run also shows its speed. Intervals then grow.
constexpr absl::Duration kFirstProgressInterval = absl::Milliseconds(500);
constexpr absl::Duration kProgressInterval = absl::Seconds(2);

int64_t LongestSequence(const Dataset& dataset) {
  size_t longest = 0;
  for (const Split* split : {&dataset.train, &dataset.val, &dataset.test, &dataset.gen}) {
    for (const Example& example : split->examples)
      longest = std::max(longest, example.tokens.size());
  }
  return static_cast<int64_t>(longest) + 1;  // SOS
}

ModelShape ShapeOf(const RunConfig& run, const Dataset& dataset) {
  return {dataset.vocabulary.size(), run.model.d_model, run.model.heads, run.model.d_ff, run.depth};
}

// False if the only checkpoint is that of the last step, which does not overlap with training.
bool CheckpointsDuringTraining(const RunConfig& run) {
  return run.checkpoint.every < run.train.steps;
}

// Members write whole rows when they are initialized or restored.
PackBuffers BuffersOf(const PackSpec& spec, int64_t row_size) {
  const auto pack = static_cast<int64_t>(spec.members.size());
  const auto rows = [&] { return at::empty({pack, row_size}, at::kFloat); };
  const int64_t snapshots = CheckpointsDuringTraining(spec.run) ? pack : 0;
  return {rows(), rows(), rows(), at::empty({snapshots, 3, row_size}, at::kFloat)};
}

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> Engine::Create(const EngineOptions& options,
                                                       const Dataset* dataset, EventWriter* events,
                                                       Clock* clock,
                                                       const std::atomic<bool>* stop) {
  const int64_t max_length = LongestSequence(*dataset);
  if (max_length > kMaxSequenceLength) {
    return absl::InvalidArgumentError(absl::StrCat("a sentence of the data has ", max_length - 1,
                                                   " words; the longest possible is ",
                                                   kMaxSequenceLength - 1));
  }
  const int64_t examples = static_cast<int64_t>(dataset->train.examples.size());
  if (examples < options.spec.run.train.batch_size) {
    return absl::InvalidArgumentError(absl::StrCat("the training split has ", examples,
                                                   " sentences, fewer than one batch of ",
                                                   options.spec.run.train.batch_size));
  }
  const RunConfig& run = options.spec.run;
  Probes probes;
  if (run.report.probe_sentences > 0) {
    COPPICE_ASSIGN_OR_RETURN(probes.sample, DrawProbeSample(run.task, *dataset, run.data.seed,
                                                            run.report.probe_sentences));
    probes.plan = ProbePlan(probes.sample.sentences, dataset->vocabulary.sos());
  }
  return std::unique_ptr<Engine>(
      new Engine(options, dataset, std::move(probes), events, clock, stop, max_length));
}

Engine::Engine(const EngineOptions& options, const Dataset* dataset, Probes probes,
               EventWriter* events, Clock* clock, const std::atomic<bool>* stop, int64_t max_length)
    : options_(options),
      layout_(ShapeOf(options.spec.run, *dataset)),
      evaluation_(dataset),
      probes_(std::move(probes)),
      checkpoint_context_{&options_.spec.run,  &layout_,    options.spec.prune, events, clock, stop,
                          &checkpoint_thread_, options.save},
      context_{options.spec.run,
               dataset,
               &evaluation_,
               &probes_,
               &layout_,
               max_length,
               options.spec.threads,
               options.evaluate_first,
               events,
               clock,
               stop,
               &checkpoint_context_},
      buffers_(BuffersOf(options.spec, layout_.row_size())),
      checkpoint_thread_(CheckpointsDuringTraining(options.spec.run) ? 1 : 0) {
  for (size_t k = 0; k < options.spec.members.size(); ++k) {
    const auto index = static_cast<int64_t>(k);
    const auto row = [index](const at::Tensor& buffer) {
      return buffer.size(0) == 0 ? nullptr : buffer[index].data_ptr<float>();
    };
    members_.push_back(std::make_unique<Member>(
        &context_, index, options.spec.members[k],
        MemberRows{row(buffers_.parameters), row(buffers_.adam_m), row(buffers_.adam_v)},
        row(buffers_.snapshots)));
  }
  loop_ = options_.device->MakeLoop(&context_, buffers_);
}

absl::StatusOr<bool> Engine::RestoreNewest(Member* member) {
  absl::StatusOr<std::vector<CheckpointFile>> files =
      ListCheckpoints(member->spec().checkpoint_dir);
  if (!files.ok()) return files.status();
  for (const CheckpointFile& file : *files) {
    const absl::Status restored = member->Restore(file.path);
    if (restored.ok()) {
      spdlog::info("seed {} resumes at step {} from {}", member->spec().seed, member->step(),
                   file.path);
      return true;
    }
    if (absl::IsFailedPrecondition(restored)) {
      return absl::FailedPreconditionError(
          absl::StrCat(restored.message(), "; choose another --out or the settings of that run"));
    }
    spdlog::warn("skipping an unreadable checkpoint: {}", std::string(restored.message()));
  }
  return false;
}

void Engine::Initialize(const std::vector<Member*>& members) {
  const int64_t count =
      std::clamp<int64_t>(loop_->setup_threads(), 1, static_cast<int64_t>(members.size()) + 1);
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t i = next++; i < members.size(); i = next++) members[i]->Initialize();
  };
  std::vector<std::thread> others;
  for (int64_t i = 1; i < count; ++i) others.emplace_back(work);
  work();
  for (std::thread& thread : others) thread.join();
}

absl::Status Engine::Restore() {
  std::vector<std::pair<Member*, absl::Status>> unreadable;
  std::vector<MemberStep> started;
  std::vector<Member*> untrained;
  for (const std::unique_ptr<Member>& member : members_) {
    absl::Status restored;
    if (!member->spec().resume.empty()) {
      restored = member->Restore(member->spec().resume);
      if (!restored.ok()) unreadable.emplace_back(member.get(), restored);
    } else if (options_.resume_newest) {
      const absl::StatusOr<bool> found = RestoreNewest(member.get());
      restored = found.status();
      if (absl::IsFailedPrecondition(restored)) return restored;
      if (!restored.ok()) unreadable.emplace_back(member.get(), restored);
      if (found.ok() && !*found) untrained.push_back(member.get());
    } else {
      untrained.push_back(member.get());
    }
    if (restored.ok()) started.push_back({member->spec().seed, member->step()});
  }
  Initialize(untrained);
  for (const auto& [member, status] : unreadable)
    member->Fail(FailureKind::kCheckpoint, status.message());
  if (started.empty()) return absl::OkStatus();
  context_.events->Start(options_.provenance, started, context_.run.train.steps,
                         layout_.parameter_count());
  return absl::OkStatus();
}

int64_t Engine::TotalSequences() const {
  int64_t total = 0;
  for (const std::unique_ptr<Member>& member : members_) total += member->sequences();
  return total;
}

void Engine::ReportProgress(absl::Duration interval, int64_t* last_sequences) {
  std::vector<MemberStep> steps;
  for (const std::unique_ptr<Member>& member : members_)
    steps.push_back({member->spec().seed, member->step()});
  const int64_t sequences = TotalSequences();
  const double rate = static_cast<double>(sequences - std::exchange(*last_sequences, sequences)) /
                      absl::ToDoubleSeconds(interval);
  const double per_pack_step =
      static_cast<double>(context_.run.train.batch_size) * static_cast<double>(members_.size());
  context_.events->Progress(steps, rate / per_pack_step, rate,
                            Activity().load(std::memory_order_relaxed));
}

Engine::Outcome Engine::Run() {
  std::vector<Member*> running;
  for (const std::unique_ptr<Member>& member : members_) {
    if (member->state() == MemberState::kRunning) running.push_back(member.get());
  }
  absl::Notification finished;
  std::thread training([&] {
    loop_->Run(running);
    finished.Notify();
  });
  int64_t last_sequences = 0;
  absl::Duration last = context_.clock->Monotonic();
  absl::Duration interval = kFirstProgressInterval;
  while (!finished.WaitForNotificationWithTimeout(interval)) {
    const absl::Duration now = context_.clock->Monotonic();
    ReportProgress(now - std::exchange(last, now), &last_sequences);
    interval = std::min(interval * 2, kProgressInterval);
  }
  training.join();
  Outcome outcome;
  for (const std::unique_ptr<Member>& member : members_) {
    outcome.failed |= member->state() == MemberState::kFailed;
    outcome.preempted |= member->state() == MemberState::kPreempted;
  }
  return outcome;
}

}  // namespace coppice::trainer

#include "worker/trainer/train/engine.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "ATen/ops/empty.h"
#include "ATen/ops/zeros.h"
#include "absl/strings/str_cat.h"
#include "c10/core/InferenceMode.h"
#include "common/base/logging.h"
#include "common/base/status_macros.h"
#include "worker/trainer/model/fused_ops.h"
#include "worker/trainer/train/activity.h"
#include "worker/trainer/train/runtime.h"

namespace coppice::trainer {
namespace {

// The time for which a thread trains a member before it picks the one with the smallest step.
constexpr absl::Duration kQuantum = absl::Milliseconds(200);
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
bool CheckpointsOnTheWay(const RunConfig& run) { return run.checkpoint.every < run.train.steps; }

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
      max_length_(max_length),
      layout_(ShapeOf(options.spec.run, *dataset)),
      evaluation_(dataset),
      probes_(std::move(probes)),
      checkpoint_context_{&options_.spec.run,  &layout_,    options.spec.prune, events, clock, stop,
                          &checkpoint_thread_, options.save},
      context_{options.spec.run,    dataset, &evaluation_, &probes_, &layout_, events, clock, stop,
               &checkpoint_context_},
      checkpoint_thread_(CheckpointsOnTheWay(options.spec.run) ? 1 : 0) {
  const int64_t pack = static_cast<int64_t>(options.spec.members.size());
  for (at::Tensor* buffer : {&parameters_, &gradients_, &adam_m_, &adam_v_}) {
    if (options.accelerator != nullptr && buffer == &gradients_) continue;  // not read by the host
    // Members write whole rows of the other buffers when they are initialized or restored.
    *buffer = buffer == &gradients_ ? at::zeros({pack, layout_.row_size()}, at::kFloat)
                                    : at::empty({pack, layout_.row_size()}, at::kFloat);
  }
  const bool snapshots = CheckpointsOnTheWay(options.spec.run);
  // Snapshots are written before they are read. On the CPU they are touched at once, so that their
  // memory is counted.
  snapshots_ = at::empty({snapshots ? pack : 0, 3, layout_.row_size()}, at::kFloat);
  if (options.accelerator == nullptr) snapshots_.zero_();
  for (int64_t k = 0; k < pack; ++k) {
    auto row = [k](const at::Tensor& buffer) {
      return buffer.defined() ? buffer.narrow(0, k, 1) : buffer;
    };
    float* snapshot = snapshots ? snapshots_[k].data_ptr<float>() : nullptr;
    members_.push_back(std::make_unique<Member>(&context_, options.spec.members[k],
                                                row(parameters_), row(gradients_), row(adam_m_),
                                                row(adam_v_), snapshot));
  }
  if (options.accelerator != nullptr)
    stacked_ = std::make_unique<StackedTraining>(&context_, options.accelerator, max_length_,
                                                 options.evaluate_first);
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
  const int64_t most = options_.accelerator != nullptr
                           ? static_cast<int64_t>(std::thread::hardware_concurrency())
                           : options_.spec.threads;
  const int64_t count = std::clamp<int64_t>(most, 1, static_cast<int64_t>(members.size()) + 1);
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
  std::vector<Member*> fresh;
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
      if (found.ok() && !*found) fresh.push_back(member.get());
    } else {
      fresh.push_back(member.get());
    }
    if (restored.ok()) started.push_back({member->spec().seed, member->step()});
  }
  Initialize(fresh);
  for (const auto& [member, status] : unreadable)
    member->Fail(FailureKind::kCheckpoint, status.message());
  if (started.empty()) return absl::OkStatus();
  context_.events->Start(options_.provenance, started, context_.run.train.steps,
                         layout_.parameter_count());
  return absl::OkStatus();
}

Member* Engine::TakeMember() {
  absl::MutexLock lock(&mutex_);
  if (ready_.empty()) return nullptr;
  const auto furthest_back =
      std::min_element(ready_.begin(), ready_.end(),
                       [](const Member* a, const Member* b) { return a->step() < b->step(); });
  Member* const member = *furthest_back;
  ready_.erase(furthest_back);
  return member;
}

void Engine::Work() {
  PrepareComputeThread();
  {
    const c10::InferenceMode no_autograd;
    Transformer model(layout_, max_length_, at::kFloat, MakeCpuFusedOps(at::kFloat));
    // There are never more threads than members. So a thread that finds no ready member leaves one
    // to each other thread.
    while (Member* member = TakeMember()) {
      const MemberState state = member->Advance(&model, kQuantum);
      if (state != MemberState::kRunning) continue;
      absl::MutexLock lock(&mutex_);
      ready_.push_back(member);
    }
  }
  absl::MutexLock lock(&mutex_);
  --working_threads_;
}

void Engine::WorkStacked() {
  PrepareComputeThread();
  std::vector<Member*> members;
  {
    absl::MutexLock lock(&mutex_);
    members.swap(ready_);
  }
  stacked_->Run(std::move(members));
  absl::MutexLock lock(&mutex_);
  --working_threads_;
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
  std::vector<std::thread> threads;
  {
    absl::MutexLock lock(&mutex_);
    for (const std::unique_ptr<Member>& member : members_) {
      if (member->state() == MemberState::kRunning) ready_.push_back(member.get());
    }
    working_threads_ = stacked_ != nullptr
                           ? 1
                           : static_cast<int>(std::min<int64_t>(
                                 options_.spec.threads, static_cast<int64_t>(ready_.size())));
    for (int i = 0; i < working_threads_; ++i)
      threads.emplace_back([this] { stacked_ != nullptr ? WorkStacked() : Work(); });
  }
  int64_t last_sequences = 0;
  absl::Duration last = context_.clock->Monotonic();
  absl::Duration interval = kFirstProgressInterval;
  auto finished = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return working_threads_ == 0; };
  for (;;) {
    {
      absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&finished), interval)) break;
    }
    const absl::Duration now = context_.clock->Monotonic();
    ReportProgress(now - std::exchange(last, now), &last_sequences);
    interval = std::min(interval * 2, kProgressInterval);
  }
  for (std::thread& thread : threads) thread.join();
  Outcome outcome;
  for (const std::unique_ptr<Member>& member : members_) {
    outcome.failed |= member->state() == MemberState::kFailed;
    outcome.preempted |= member->state() == MemberState::kPreempted;
  }
  return outcome;
}

}  // namespace coppice::trainer

#include "worker/trainer/stacked/stacked_loop.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <numeric>
#include <thread>
#include <utility>

#include "ATen/ops/index_select.h"
#include "ATen/ops/tensor.h"
#include "c10/core/InferenceMode.h"
#include "worker/trainer/train/runtime.h"

namespace coppice::trainer {
namespace {

// Steps that may be enqueued before the oldest of them must be done. A stop, a report or an end
// waits only for these. Twice as many batches are ready or in preparation.
constexpr size_t kStepsAhead = 2;
constexpr size_t kSlots = 2 * kStepsAhead;
// Steps between two checks for diverged members; a member replays at most about this many more.
constexpr int64_t kCheckEvery = 64;

MemberProgress ProgressOf(const DeviceMember& state, MemberProgress progress) {
  progress.step = state.step;
  progress.loss_sum = state.loss_sum;
  progress.loss_steps = state.loss_steps;
  progress.grad_norm = state.norm;
  return progress;
}

}  // namespace

StackedLoop::StackedLoop(const PackContext* context, StackedDevice* device)
    : context_(context), device_(device) {}

StackedLoop::~StackedLoop() = default;

int64_t StackedLoop::setup_threads() const {
  return static_cast<int64_t>(std::thread::hardware_concurrency());
}

void StackedLoop::Run(const std::vector<Member*>& members) {
  PrepareComputeThread();
  members_ = members;
  if (members_.empty()) return;
  const c10::InferenceMode no_autograd;
  try {
    RunOrThrow();
  } catch (const std::exception&) {
    for (Member* member : members_) {
      if (member->state() == MemberState::kRunning) member->FailOfException();
    }
  }
}

void StackedLoop::RunOrThrow() {
  Prepare();
  if (context_->evaluate_first) EvaluateAll();
  Settle();
  while (std::any_of(members_.begin(), members_.end(), [](const Member* member) {
    return member->state() == MemberState::kRunning;
  })) {
    Train(StepsToBoundary());
    Settle();
  }
}

void StackedLoop::Prepare() {
  device_->Enter();
  StackedPackOptions options;
  options.members = static_cast<int64_t>(members_.size());
  options.largest_rows = LargestBatchRows(*context_->dataset, context_->run.train.batch_size);
  options.longest = LongestTrainingSequence(*context_->dataset);
  options.max_length = context_->max_length;
  pack_ = std::make_unique<StackedPack>(device_, *context_->layout, context_->run, options);
  evaluation_model_ =
      std::make_unique<Transformer>(*context_->layout, context_->max_length, at::kFloat,
                                    device_->MakeOps(at::kFloat), device_->torch_device());
  std::vector<FeedMember> fed;
  for (size_t k = 0; k < members_.size(); ++k) {
    Member* const member = members_[k];
    const auto index = static_cast<int64_t>(k);
    pack_->Upload(index, member->rows());
    member->Begin(context_->clock->Monotonic(),
                  [this, member, index] { pack_->Download(index, member->rows()); });
    fed.push_back({member->spec().seed, member->step()});
  }
  std::vector<void*> memory;
  for (size_t slot = 0; slot < kSlots; ++slot) {
    slots_.push_back(device_->HostBytes(pack_->SlotBytes()));
    step_done_.push_back(device_->MakeEvent());
    memory.push_back(slots_.back().data_ptr());
  }
  member_states_ = device_->HostBytes(pack_->MembersBytes());
  pack_->SetMembers(StatesOfMembers());
  feed_ = std::make_unique<BatchFeed>(context_->dataset, context_->run, fed, std::move(memory));
}

void StackedLoop::EvaluateAll() {
  std::vector<size_t> all(members_.size());
  std::iota(all.begin(), all.end(), size_t{0});
  Measure(all);
}

std::vector<DeviceMember> StackedLoop::StatesOfMembers() const {
  std::vector<DeviceMember> states;
  for (const Member* member : members_) {
    const MemberProgress& progress = member->progress();
    DeviceMember& state = states.emplace_back();
    state.dropout = Dropout::For(member->spec().seed, progress.step, context_->run.model.dropout);
    state.step = progress.step;
    state.norm = progress.grad_norm;
    state.loss_sum = progress.loss_sum;
    state.loss_steps = progress.loss_steps;
    state.stopped = member->state() == MemberState::kRunning ? 0 : 1;
  }
  return states;
}

int64_t StackedLoop::StepsToBoundary() const {
  int64_t steps = 0;
  for (const Member* member : members_) {
    if (member->state() != MemberState::kRunning) continue;
    const int64_t own = member->StepsToBoundary();
    steps = steps == 0 ? own : std::min(steps, own);
  }
  return steps;
}

void StackedLoop::Train(int64_t steps) {
  bool well = true;
  for (int64_t i = 0; i < steps && well && !Stopping(); ++i) {
    const BatchFeed::Filled batch = feed_->Next();
    pack_->Step(slots_[batch.slot], batch.rows);
    const bool checks = ++enqueued_ % kCheckEvery == 0;
    if (checks) pack_->EnqueueMembers(member_states_);
    step_done_[batch.slot]->Record();
    in_flight_.push_back({batch.slot, checks});
    if (in_flight_.size() > kStepsAhead) well = Retire();
  }
  while (!in_flight_.empty()) Retire();
}

bool StackedLoop::Retire() {
  const InFlight step = in_flight_.front();
  in_flight_.pop_front();
  step_done_[step.slot]->Synchronize();
  feed_->Release(step.slot);
  for (Member* member : members_) {
    if (member->state() == MemberState::kRunning) member->PublishStep(member->step() + 1);
  }
  if (!step.checks) return true;
  const auto* const states = static_cast<const DeviceMember*>(member_states_.data_ptr());
  for (size_t k = 0; k < members_.size(); ++k) {
    if (members_[k]->state() == MemberState::kRunning && states[k].stopped != 0) return false;
  }
  return true;
}

void StackedLoop::Settle() {
  const std::vector<DeviceMember> states = pack_->Members();
  const absl::Duration now = context_->clock->Monotonic();
  std::vector<size_t> due;
  for (size_t k = 0; k < members_.size(); ++k) {
    Member* const member = members_[k];
    if (member->state() != MemberState::kRunning) continue;
    member->SetProgress(ProgressOf(states[k], member->progress()));
    if (states[k].stopped != 0) {
      member->Fail(FailureKind::kNan, std::isfinite(states[k].loss)
                                          ? "the gradient norm is not finite"
                                          : "the training loss is not finite");
    } else if (member->ReportDue()) {
      due.push_back(k);
    }
  }
  const std::vector<MetricValues> measured = Measure(due);
  for (size_t k = 0; k < members_.size(); ++k) {
    if (members_[k]->state() != MemberState::kRunning) continue;
    const auto place = std::find(due.begin(), due.end(), k) - due.begin();
    members_[k]->Settle(
        [&](MetricValues* values) {
          if (measured.empty()) return false;
          values->insert(values->end(), measured[place].begin(), measured[place].end());
          return true;
        },
        now);
  }
  pack_->SetMembers(StatesOfMembers());
}

std::vector<MetricValues> StackedLoop::Measure(const std::vector<size_t>& due) {
  if (due.empty()) return {};
  const at::Tensor rows = RowsOf(due);
  std::vector<MetricValues> values(due.size());
  if (!EvaluatePack(*context_->evaluation, Weights::View(rows, *context_->layout),
                    evaluation_model_.get(), *context_->stop, &values)) {
    return {};
  }
  if (!MeasureProbes(due, &values)) return {};
  const at::Tensor squares = pack_->SquareSums(rows);
  for (size_t i = 0; i < due.size(); ++i) {
    AppendWeightNorm(squares.data_ptr<double>()[i], context_->run.depth, &values[i]);
  }
  return values;
}

bool StackedLoop::MeasureProbes(const std::vector<size_t>& due, std::vector<MetricValues>* values) {
  std::vector<size_t> probed, places;
  for (size_t i = 0; i < due.size(); ++i) {
    if (!members_[due[i]]->ProbeDue()) continue;
    probed.push_back(due[i]);
    places.push_back(i);
  }
  if (probed.empty()) return true;
  const absl::Duration begin = context_->clock->Monotonic();
  const at::Tensor rows = RowsOf(probed);
  std::vector<MetricValues> measured(probed.size());
  if (!MeasureProbesOfPack(*context_->probes, Weights::View(rows, *context_->layout),
                           evaluation_model_.get(), *context_->stop, &measured)) {
    return false;
  }
  // A member's share, so that the sum over members is the time spent.
  const double seconds = absl::ToDoubleSeconds(context_->clock->Monotonic() - begin) /
                         static_cast<double>(probed.size());
  for (size_t i = 0; i < probed.size(); ++i) {
    measured[i].emplace_back("probe_seconds", seconds);
    MetricValues& own = (*values)[places[i]];
    own.insert(own.end(), measured[i].begin(), measured[i].end());
  }
  return true;
}

at::Tensor StackedLoop::RowsOf(const std::vector<size_t>& members) const {
  const at::Tensor& rows = pack_->parameters();
  if (members.size() == members_.size()) return rows;
  const std::vector<int64_t> index(members.begin(), members.end());
  return at::index_select(rows, 0, at::tensor(index, at::kLong).to(rows.device()));
}

}  // namespace coppice::trainer

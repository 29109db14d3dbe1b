#include "worker/trainer/train/member_trainer.h"

#include <cmath>
#include <exception>
#include <optional>

#include "worker/trainer/model/kernels.h"
#include "worker/trainer/train/optimizer.h"
#include "worker/trainer/train/training_batch.h"

namespace coppice::trainer {

MemberTrainer::MemberTrainer(const PackContext* context, Member* member,
                             const at::Tensor& parameters, const at::Tensor& gradients)
    : context_(context),
      member_(member),
      weights_(Weights::View(parameters, *context->layout)),
      gradients_(Weights::View(gradients, *context->layout)),
      gradient_row_(gradients.data_ptr<float>()),
      order_(member->spec().seed, static_cast<int32_t>(context->dataset->train.examples.size()),
             static_cast<int32_t>(context->run.train.batch_size)) {}

void MemberTrainer::Advance(Transformer* model, absl::Duration quantum) {
  try {
    AdvanceOrThrow(model, quantum);
  } catch (const std::exception&) {
    member_->FailOfException();
  }
}

void MemberTrainer::AdvanceOrThrow(Transformer* model, absl::Duration quantum) {
  const absl::Duration begin = context_->clock->Monotonic();
  if (!begun_) {
    begun_ = true;
    member_->Begin(begin, [] {});
  }
  const MeasureFunction measure = [this, model](MetricValues* values) {
    return Measure(model, values);
  };
  while (member_->Settle(measure, std::nullopt)) {
    if (context_->clock->Monotonic() - begin >= quantum) break;
    TrainStep(model);
  }
}

void MemberTrainer::TrainStep(Transformer* model) {
  MemberProgress progress = member_->progress();
  FillBatch(*context_->dataset, order_.Batch(progress.step), context_->run.train.batch_size,
            &batch_);
  const PackBatch pack{
      {&batch_}, {Dropout::For(member_->spec().seed, progress.step, context_->run.model.dropout)}};
  double loss = 0;
  model->LossAndGradients(weights_, gradients_, pack, &loss);
  if (!std::isfinite(loss)) {
    return member_->Fail(FailureKind::kNan, "the training loss is not finite");
  }
  const MemberRows& rows = member_->rows();
  const double norm = ClippedAdamW<float>(
      context_->run.train, progress.step,
      {context_->layout->row_size(), gradient_row_, rows.adam_m, rows.adam_v, rows.parameters});
  if (!std::isfinite(norm)) {
    return member_->Fail(FailureKind::kNan, "the gradient norm is not finite");
  }
  ++progress.step;
  progress.loss_sum += loss;
  ++progress.loss_steps;
  progress.grad_norm = norm;
  member_->SetProgress(progress);
}

bool MemberTrainer::Measure(Transformer* model, MetricValues* values) {
  if (!Evaluate(*context_->evaluation, weights_, model, *context_->stop, values)) return false;
  if (member_->ProbeDue()) {
    const absl::Duration begin = context_->clock->Monotonic();
    if (!MeasureProbes(*context_->probes, weights_, model, *context_->stop, values)) return false;
    values->emplace_back("probe_seconds",
                         absl::ToDoubleSeconds(context_->clock->Monotonic() - begin));
  }
  AppendWeightNorm(
      GetKernels<float>().square_sum(context_->layout->row_size(), member_->rows().parameters),
      context_->run.depth, values);
  return true;
}

}  // namespace coppice::trainer

// The measurements at a report step, beside the training loss.
#ifndef COPPICE_WORKER_TRAINER_TRAIN_EVALUATOR_H_
#define COPPICE_WORKER_TRAINER_TRAIN_EVALUATOR_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "worker/trainer/base/events.h"
#include "worker/trainer/model/transformer.h"
#include "worker/trainer/tasks/dataset.h"

namespace coppice::trainer {

// The batches of the evaluation splits, sorted by length. One pass over a sentence serves its loss
// and all of its choices. A pure function of the dataset. Immutable, shared by all members and
// threads; points into the dataset.
class EvaluationPlan {
 public:
  explicit EvaluationPlan(const Dataset* dataset);

  // One sentence of a forward pass.
  struct Reading {
    const Example* example = nullptr;
    int32_t words = 0;  // words to read after SOS
    std::vector<ChoiceItem> choices;
  };
  struct ReadingBatch {
    std::vector<Reading> readings;
  };
  struct Decoding {
    const Example* example = nullptr;
    int32_t main_verb = 0;
  };
  struct DecodingBatch {
    std::vector<Decoding> decodings;
  };
  struct SplitPlan {
    bool loss = false;
    std::vector<ReadingBatch> readings;
    std::vector<DecodingBatch> decodings;
    const Split* split = nullptr;
  };

  const Dataset& dataset() const { return *dataset_; }
  const SplitPlan& val() const { return val_; }
  const SplitPlan& gen() const { return gen_; }

 private:
  SplitPlan Plan(const Split& split, bool loss) const;

  const Dataset* dataset_;
  SplitPlan val_;
  SplitPlan gen_;
};

// Appends val_loss, id_accuracy and gen_accuracy to values[k] for each member k of the weights'
// pack. An accuracy is left out when its split has no items. Computes in float32 without dropout;
// the bits do not depend on the thread count. Polls `stop` between batches; when it is set, returns
// false and leaves `values` unusable. Other measurements of a report (probes) are functions of this
// form, called one after the other.
bool EvaluatePack(const EvaluationPlan& plan, const Weights& weights, Transformer* model,
                  const std::atomic<bool>& stop, std::vector<MetricValues>* values);
// The same for one member (K = 1).
bool Evaluate(const EvaluationPlan& plan, const Weights& weights, Transformer* model,
              const std::atomic<bool>& stop, MetricValues* values);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TRAIN_EVALUATOR_H_

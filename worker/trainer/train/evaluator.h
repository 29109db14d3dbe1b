// What is measured at a report step beside the training loss.
#ifndef COPPICE_WORKER_TRAINER_TRAIN_EVALUATOR_H_
#define COPPICE_WORKER_TRAINER_TRAIN_EVALUATOR_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "worker/trainer/events.h"
#include "worker/trainer/model/transformer.h"
#include "worker/trainer/tasks/dataset.h"

namespace coppice::trainer {

// How the evaluation splits are cut into batches: sorted by length, each pass over a sentence
// serving its loss and all of its choices. A pure function of the dataset. Immutable, shared by all
// members and threads; points into the dataset.
class EvaluationPlan {
 public:
  explicit EvaluationPlan(const Dataset* dataset);

  // One sentence of a forward pass.
  struct Reading {
    const Example* example = nullptr;
    int32_t words = 0;  // how many are read behind SOS
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

// Appends val_loss, id_accuracy and gen_accuracy (an accuracy only where its split has items) to
// values[k] of each member k of the weights' pack. float32, no dropout, the same bits at any thread
// count. Returns false, with `values` unusable, when `stop` became true: it is polled between
// batches. Further measurements of a report (probes) are functions of this form, called one after
// the other.
bool EvaluatePack(const EvaluationPlan& plan, const Weights& weights, Transformer* model,
                  const std::atomic<bool>& stop, std::vector<MetricValues>* values);
// The same for a single member (K = 1).
bool Evaluate(const EvaluationPlan& plan, const Weights& weights, Transformer* model,
              const std::atomic<bool>& stop, MetricValues* values);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TRAIN_EVALUATOR_H_

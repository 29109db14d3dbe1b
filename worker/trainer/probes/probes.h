// The probes measure a model's internals at a report step: attention sparsity and tree projections.
#ifndef COPPICE_WORKER_TRAINER_PROBES_PROBES_H_
#define COPPICE_WORKER_TRAINER_PROBES_PROBES_H_

#include <atomic>
#include <optional>
#include <vector>

#include "worker/trainer/base/events.h"
#include "worker/trainer/model/transformer.h"
#include "worker/trainer/probes/plan.h"
#include "worker/trainer/probes/sample.h"

namespace coppice::trainer {

// One member's raw measurements.
struct ProbeReadings {
  // Every sentence's chart (tree_projection.h), at plan.first_value(sentence). chart(i, j) is the
  // cosine between two sums of the final layer's states of words i..j: read in context, and read
  // when they see only SOS and words i..j, at unchanged positions.
  std::vector<double> charts;
  // The attention entropy of the sentences in context, SOS included: for each row the entropy in
  // nats of the heads' average weights, summed over rows, averaged over layers, summed over
  // sentences.
  double entropy_sum = 0;
};

// One reading for each of the weights' K members. Polls `stop` between batches; nullopt when it is
// set.
std::optional<std::vector<ProbeReadings>> ReadProbes(const ProbePlan& plan, const Weights& weights,
                                                     Transformer* model,
                                                     const std::atomic<bool>& stop);

// A sample and its reading plan.
struct Probes {
  ProbeSample sample;
  ProbePlan plan;
};

// Appends to values[k], for each member k of the weights' pack: attention_sparsity (minus the mean
// entropy of a sentence), t_score and, if the sample has gold parses, t_parseval (corpus F1 of all
// brackets) and right_branching_f1. Returns false, with `values` unusable, when `stop` became true.
bool MeasureProbesOfPack(const Probes& probes, const Weights& weights, Transformer* model,
                         const std::atomic<bool>& stop, std::vector<MetricValues>* values);
// The same for one member (K = 1).
bool MeasureProbes(const Probes& probes, const Weights& weights, Transformer* model,
                   const std::atomic<bool>& stop, MetricValues* values);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_PROBES_PROBES_H_

// The plan for reading the probes' sentences: a pure function of the sentences, made once and
// shared. Free of LibTorch.
#ifndef COPPICE_WORKER_TRAINER_PROBES_PLAN_H_
#define COPPICE_WORKER_TRAINER_PROBES_PLAN_H_

#include <cstdint>
#include <vector>

#include "worker/trainer/model/prefix_tree.h"

namespace coppice::trainer {

// The words of a sentence from `first` to its end, as rows of a batch's tree.
struct ProbeChain {
  int32_t sentence = 0;
  int32_t first = 0;
  std::vector<int32_t> rows;
};

struct ProbeBatch {
  PrefixTree tree;
  std::vector<ProbeChain> chains;
};

// The model is causal: when words i..j can see only SOS and the words from i on, their states do
// not depend on what follows j. So one reading of each suffix serves all spans that begin with its
// first word. The suffix from the first word is the sentence in context. Suffixes that begin with
// the same words at the same position share those rows (PrefixTree). For 10,000 sentences of the
// question task that is less than a ninth of the rows that one reading per span takes (plan_test.cc
// checks it).
//
// Sentences are processed in groups, because a group's states in context must be kept while its
// suffixes are read.
class ProbePlan {
 public:
  ProbePlan() = default;
  // Every sentence has at least one word.
  ProbePlan(const std::vector<std::vector<int32_t>>& sentences, int32_t sos);

  struct Group {
    std::vector<ProbeBatch> in_context;  // chains with first == 0, one for each sentence
    std::vector<ProbeBatch> suffixes;    // chains with first > 0
    int64_t context_rows = 0;            // C, over all batches in context
  };

  bool empty() const { return groups_.empty(); }
  const std::vector<Group>& groups() const { return groups_; }
  size_t sentences() const { return words_.size(); }
  int64_t words(size_t sentence) const { return words_[sentence]; }
  // The index of the sentence's first value among the values of all charts.
  int64_t first_value(size_t sentence) const { return first_value_[sentence]; }
  int64_t values() const { return values_; }
  // Rows of all trees: the number of words that the probes read.
  int64_t rows() const;

 private:
  std::vector<Group> groups_;
  std::vector<int64_t> words_;
  std::vector<int64_t> first_value_;
  int64_t values_ = 0;
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_PROBES_PLAN_H_

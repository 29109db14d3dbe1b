// A batch as the model sees it, free of LibTorch.
#ifndef COPPICE_WORKER_TRAINER_MODEL_BATCH_H_
#define COPPICE_WORKER_TRAINER_MODEL_BATCH_H_

#include <cstdint>
#include <vector>

namespace coppice::trainer {

struct Sequence {
  int32_t first_row = 0;
  int32_t length = 0;
  int32_t first_position = 0;  // of its first row; above 0 when a cache has earlier words
};

// One member's [B, T] batch as rows: [B, T, D] activations are stored as [R, D]. Sequence b is the
// rows first_row .. first_row + length. Rows lie back to back without padding, so a sum over rows
// is a sum over real tokens. Nothing depends on the longest sequence of the batch or of a
// pack-mate's batch.
struct MemberBatch {
  std::vector<Sequence> sequences;  // ascending, disjoint
  std::vector<int32_t> tokens;      // [R] input: SOS w1 .. wn
  std::vector<int32_t> targets;  // [R] expected output: w1 .. wn EOS; empty when nothing is scored

  int64_t rows() const { return static_cast<int64_t>(tokens.size()); }
  void Clear();
  // Appends SOS words[0..count) to the tokens; with `eos` >= 0 also the targets.
  void Append(const int32_t* words, int32_t count, int32_t sos, int32_t eos = -1);
};

inline void MemberBatch::Clear() {
  sequences.clear();
  tokens.clear();
  targets.clear();
}

inline void MemberBatch::Append(const int32_t* words, int32_t count, int32_t sos, int32_t eos) {
  sequences.push_back({static_cast<int32_t>(tokens.size()), count + 1, 0});
  tokens.push_back(sos);
  tokens.insert(tokens.end(), words, words + count);
  if (eos < 0) return;
  targets.insert(targets.end(), words, words + count);
  targets.push_back(eos);
}

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_BATCH_H_

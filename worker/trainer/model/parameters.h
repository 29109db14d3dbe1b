// The place of every weight in a member's row of the flat buffers, and its initial value. Free of
// LibTorch.
#ifndef COPPICE_WORKER_TRAINER_MODEL_PARAMETERS_H_
#define COPPICE_WORKER_TRAINER_MODEL_PARAMETERS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace coppice::trainer {

struct ModelShape {
  int64_t vocabulary = 0;
  int64_t d_model = 0;
  int64_t heads = 0;
  int64_t d_ff = 0;
  int64_t depth = 0;

  int64_t d_head() const { return d_model / heads; }
};

// The distribution of initial weights (docs/science.md: Xavier uniform, biases as in a default
// linear layer).
enum class Initializer { kXavier, kXavierRelu, kBias, kOnes, kZeros };

struct Parameter {
  std::string name;
  std::vector<int64_t> shape;
  int64_t offset = 0;  // first element in the row
  Initializer initializer = Initializer::kXavier;
  // Those of one Xavier matrix. The key and value halves of data_to_kv count as two matrices.
  int64_t fan_in = 0;
  int64_t fan_out = 0;

  int64_t count() const;
};

// The offsets of one layer's parameters. data_to_kv directly follows data_to_q, so that both form
// one [3 d_model, d_model] matrix.
struct LayerOffsets {
  int64_t qkv = 0, merge = 0;
  int64_t linear1 = 0, bias1 = 0, linear2 = 0, bias2 = 0;
  int64_t gamma1 = 0, beta1 = 0, gamma2 = 0, beta2 = 0;
};

// Immutable. Blocks start at multiples of 16 elements. The gaps always hold zeros (their gradient
// is zero), so passes over a whole row may ignore them.
class ParameterLayout {
 public:
  explicit ParameterLayout(const ModelShape& shape);

  const ModelShape& shape() const { return shape_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  const std::vector<LayerOffsets>& layers() const { return layers_; }
  int64_t embedding() const { return embedding_; }
  int64_t output() const { return output_; }
  int64_t output_bias() const { return output_bias_; }
  // P: elements in a row, gaps included.
  int64_t row_size() const { return row_size_; }
  // Parameters of the model, gaps not included.
  int64_t parameter_count() const { return parameter_count_; }

 private:
  int64_t Add(std::string name, std::vector<int64_t> shape, Initializer initializer, int64_t fan_in,
              int64_t fan_out, bool align = true);

  ModelShape shape_;
  std::vector<Parameter> parameters_;
  std::vector<LayerOffsets> layers_;
  int64_t embedding_ = 0;
  int64_t output_ = 0;
  int64_t output_bias_ = 0;
  int64_t row_size_ = 0;
  int64_t parameter_count_ = 0;
};

// Writes a member's initial weights to row[0 .. row_size), gaps included. They are a pure function
// of (layout, seed).
void InitializeParameters(const ParameterLayout& layout, uint64_t seed, float* row);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_PARAMETERS_H_

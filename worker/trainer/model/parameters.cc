#include "worker/trainer/model/parameters.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/trainer/base/random.h"

namespace coppice::trainer {
namespace {

constexpr int64_t kAlignment = 16;  // elements

int64_t AlignUp(int64_t value) { return (value + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

int64_t Parameter::count() const {
  int64_t product = 1;
  for (const int64_t size : shape) product *= size;
  return product;
}

int64_t ParameterLayout::Add(std::string name, std::vector<int64_t> shape, Initializer initializer,
                             int64_t fan_in, int64_t fan_out, bool align) {
  Parameter parameter{std::move(name), std::move(shape), align ? AlignUp(row_size_) : row_size_,
                      initializer,     fan_in,           fan_out};
  row_size_ = parameter.offset + parameter.count();
  parameter_count_ += parameter.count();
  parameters_.push_back(std::move(parameter));
  return parameters_.back().offset;
}

ParameterLayout::ParameterLayout(const ModelShape& shape) : shape_(shape) {
  const int64_t d = shape.d_model;
  const int64_t f = shape.d_ff;
  const int64_t v = shape.vocabulary;
  embedding_ = Add("input_embedding.weight", {v, d}, Initializer::kXavier, d, v);
  for (int64_t layer = 0; layer < shape.depth; ++layer) {
    const std::string prefix = absl::StrCat("trafo.encoder.layers.", layer, ".");
    LayerOffsets at;
    at.qkv = Add(prefix + "self_attn.data_to_q.weight", {d, d}, Initializer::kXavier, d, d);
    Add(prefix + "self_attn.data_to_kv.weight", {2 * d, d}, Initializer::kXavier, d, d,
        /*align=*/false);
    at.merge =
        Add(prefix + "self_attn.multi_head_merge.weight", {d, d}, Initializer::kXavier, d, d);
    at.linear1 = Add(prefix + "linear1.weight", {f, d}, Initializer::kXavierRelu, d, f);
    at.bias1 = Add(prefix + "linear1.bias", {f}, Initializer::kBias, d, f);
    at.linear2 = Add(prefix + "linear2.weight", {d, f}, Initializer::kXavier, f, d);
    at.bias2 = Add(prefix + "linear2.bias", {d}, Initializer::kBias, f, d);
    at.gamma1 = Add(prefix + "norm1.weight", {d}, Initializer::kOnes, 0, 0);
    at.beta1 = Add(prefix + "norm1.bias", {d}, Initializer::kZeros, 0, 0);
    at.gamma2 = Add(prefix + "norm2.weight", {d}, Initializer::kOnes, 0, 0);
    at.beta2 = Add(prefix + "norm2.bias", {d}, Initializer::kZeros, 0, 0);
    layers_.push_back(at);
  }
  output_ = Add("output_map.weight", {v, d}, Initializer::kXavier, d, v);
  output_bias_ = Add("output_map.bias", {v}, Initializer::kBias, d, v);
  row_size_ = AlignUp(row_size_);
}

void InitializeParameters(const ParameterLayout& layout, uint64_t seed, float* row) {
  std::fill(row, row + layout.row_size(), 0.0f);
  const PhiloxKey key = MakePhiloxKey(seed, RandomRole::kInit);
  for (size_t i = 0; i < layout.parameters().size(); ++i) {
    const Parameter& parameter = layout.parameters()[i];
    float* out = row + parameter.offset;
    double bound = 0;
    switch (parameter.initializer) {
      case Initializer::kZeros:
        continue;
      case Initializer::kOnes:
        std::fill(out, out + parameter.count(), 1.0f);
        continue;
      case Initializer::kBias:
        bound = std::sqrt(1.0 / static_cast<double>(parameter.fan_in));
        break;
      case Initializer::kXavier:
        bound = std::sqrt(6.0 / static_cast<double>(parameter.fan_in + parameter.fan_out));
        break;
      case Initializer::kXavierRelu:
        bound = std::sqrt(2.0) *
                std::sqrt(6.0 / static_cast<double>(parameter.fan_in + parameter.fan_out));
        break;
    }
    PhiloxStream random(key, i, 0);
    for (int64_t j = 0; j < parameter.count(); ++j) {
      out[j] = static_cast<float>((2 * random.Uniform() - 1) * bound);
    }
  }
}

}  // namespace coppice::trainer

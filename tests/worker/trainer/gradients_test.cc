// The hand-written backward pass against LibTorch's automatic differentiation of an independent,
// naive forward pass with the same dropout masks. Also the stacked pack against single members.
#include <ATen/ATen.h>

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "worker/trainer/model/dropout_bits.h"
#include "worker/trainer/model/transformer.h"

namespace coppice::trainer {
namespace {

constexpr double kDropout = 0.2;
const ModelShape kShape{/*vocabulary=*/11, /*d_model=*/12, /*heads=*/3, /*d_ff=*/20, /*depth=*/2};

// A mask row as a tensor of 0 and 1 / keep probability.
at::Tensor MaskOf(const Dropout& dropout, uint32_t site, uint32_t row, int64_t n) {
  at::Tensor mask = at::ones({n}, at::kDouble);
  if (!dropout.active()) return mask;
  for (int64_t e = 0; e < n; ++e) {
    const bool keep =
        DropoutBits(dropout, site, row, static_cast<uint32_t>(e)) >= dropout.threshold;
    mask[e] = keep ? dropout.scale : 0.0;
  }
  return mask;
}

at::Tensor MaskRows(const Dropout& dropout, uint32_t site, int64_t b, int64_t length, int64_t n) {
  std::vector<at::Tensor> rows;
  for (int64_t t = 0; t < length; ++t) rows.push_back(MaskOf(dropout, site, MaskRow(b, 0, t), n));
  return at::stack(rows);
}

class NaiveModel {
 public:
  NaiveModel(const ParameterLayout& layout, const at::Tensor& row) : shape_(layout.shape()) {
    for (const Parameter& parameter : layout.parameters()) {
      names_.push_back(parameter.name);
      tensors_.push_back(row.narrow(0, parameter.offset, parameter.count())
                             .view(parameter.shape)
                             .detach()
                             .clone()
                             .set_requires_grad(true));
    }
  }

  const at::Tensor& operator[](const std::string& name) const {
    for (size_t i = 0; i < names_.size(); ++i) {
      if (names_[i] == name) return tensors_[i];
    }
    ADD_FAILURE() << "no parameter " << name;
    return tensors_[0];
  }

  at::Tensor Loss(const MemberBatch& batch, const Dropout& dropout) const {
    std::vector<at::Tensor> losses;
    for (size_t b = 0; b < batch.sequences.size(); ++b)
      losses.push_back(SequenceLoss(batch, b, dropout));
    return at::cat(losses).mean();
  }

 private:
  at::Tensor SequenceLoss(const MemberBatch& batch, size_t b, const Dropout& dropout) const {
    const int64_t n = batch.sequences[b].length, first = batch.sequences[b].first_row;
    at::Tensor tokens = at::empty({n}, at::kLong), targets = at::empty({n}, at::kLong);
    for (int64_t t = 0; t < n; ++t) {
      tokens[t] = batch.tokens[first + t];
      targets[t] = batch.targets[first + t];
    }
    at::Tensor x =
        (*this)["input_embedding.weight"].index_select(0, tokens) * std::sqrt(shape_.d_model) +
        SinusoidalPositions(n, shape_.d_model, at::kDouble);
    x = x * MaskRows(dropout, SiteNumber(DropoutSite::kEmbedding, 0), static_cast<int64_t>(b), n,
                     shape_.d_model);
    for (int64_t layer = 0; layer < shape_.depth; ++layer)
      x = Layer(x, layer, static_cast<int64_t>(b), dropout);
    const at::Tensor logits =
        x.matmul((*this)["output_map.weight"].t()) + (*this)["output_map.bias"];
    return -at::log_softmax(logits, 1).gather(1, targets.unsqueeze(1)).squeeze(1);
  }

  at::Tensor Layer(const at::Tensor& x, int64_t layer, int64_t b, const Dropout& dropout) const {
    const std::string prefix = "trafo.encoder.layers." + std::to_string(layer) + ".";
    auto weight = [&](const std::string& name) { return (*this)[prefix + name]; };
    auto mask = [&](DropoutSite site, int64_t width) {
      return MaskRows(dropout, SiteNumber(site, layer), b, x.size(0), width);
    };
    auto norm = [&](const at::Tensor& z, const std::string& name) {
      return at::layer_norm(z, {shape_.d_model}, weight(name + ".weight"), weight(name + ".bias"),
                            1e-5);
    };
    const at::Tensor a = Attention(x, weight("self_attn.data_to_q.weight"),
                                   weight("self_attn.data_to_kv.weight"), layer, b, dropout)
                             .matmul(weight("self_attn.multi_head_merge.weight").t());
    const at::Tensor y =
        norm(x + a * mask(DropoutSite::kAttentionResidual, shape_.d_model), "norm1");
    const at::Tensor h = at::relu(y.matmul(weight("linear1.weight").t()) + weight("linear1.bias")) *
                         mask(DropoutSite::kHidden, shape_.d_ff);
    const at::Tensor f = h.matmul(weight("linear2.weight").t()) + weight("linear2.bias");
    return norm(y + f * mask(DropoutSite::kFeedForwardResidual, shape_.d_model), "norm2");
  }

  at::Tensor Attention(const at::Tensor& x, const at::Tensor& q_weight, const at::Tensor& kv_weight,
                       int64_t layer, int64_t b, const Dropout& dropout) const {
    const int64_t n = x.size(0), dh = shape_.d_head();
    const at::Tensor q = x.matmul(q_weight.t()).view({n, shape_.heads, dh});
    const at::Tensor kv = x.matmul(kv_weight.t()).view({n, shape_.heads, 2, dh});
    const at::Tensor future = at::ones({n, n}, at::kBool).triu(1);
    std::vector<at::Tensor> heads;
    for (int64_t h = 0; h < shape_.heads; ++h) {
      const at::Tensor scores =
          q.select(1, h).matmul(kv.select(1, h).select(1, 0).t()) / std::sqrt(dh);
      at::Tensor weights = at::softmax(scores.masked_fill(future, -INFINITY), 1);
      std::vector<at::Tensor> rows;
      for (int64_t i = 0; i < n; ++i) {
        rows.push_back(
            MaskOf(dropout, SiteNumber(DropoutSite::kAttention, layer), MaskRow(b, h, i), n));
      }
      heads.push_back((weights * at::stack(rows)).matmul(kv.select(1, h).select(1, 1)));
    }
    return at::cat(heads, 1);
  }

  ModelShape shape_;
  std::vector<std::string> names_;
  std::vector<at::Tensor> tensors_;
};

MemberBatch MakeBatch(uint64_t seed, int count) {
  PhiloxStream random({static_cast<uint32_t>(seed), 77}, 0, 0);
  MemberBatch batch;
  for (int b = 0; b < count; ++b) {
    std::vector<int32_t> words(1 + random.Below(9));
    for (int32_t& word : words) word = static_cast<int32_t>(1 + random.Below(8));
    batch.Append(words.data(), static_cast<int32_t>(words.size()), 10, 9);
  }
  return batch;
}

struct Pack {
  explicit Pack(int64_t width, at::ScalarType dtype = at::kDouble)
      : layout(kShape),
        parameters(at::zeros({width, layout.row_size()}, dtype)),
        gradients(at::zeros({width, layout.row_size()}, dtype)) {
    for (int64_t k = 0; k < width; ++k) {
      at::Tensor row = at::empty({layout.row_size()}, at::kFloat);
      InitializeParameters(layout, 40 + k, row.data_ptr<float>());
      // LayerNorm weights of exactly one and zero would hide errors.
      row += 0.05 * at::sin(at::arange(layout.row_size(), at::kFloat) * (1.0 + k));
      parameters[k].copy_(row);
      batches.push_back(MakeBatch(500 + k, 3 + static_cast<int>(k)));
    }
  }

  std::vector<double> Run(double probability) {
    Transformer model(layout, 16, parameters.scalar_type(), MakeCpuOps(parameters.scalar_type()));
    PackBatch batch;
    for (size_t k = 0; k < batches.size(); ++k) {
      batch.members.push_back(&batches[k]);
      batch.dropout.push_back(DropoutOf(k, probability));
    }
    std::vector<double> loss(batches.size());
    model.LossAndGradients(Weights::View(parameters, layout), Weights::View(gradients, layout),
                           batch, loss.data());
    return loss;
  }

  // Members are at different steps.
  static Dropout DropoutOf(size_t k, double probability) {
    return Dropout::For(40 + k, 1000 * (k + 1), probability);
  }

  ParameterLayout layout;
  at::Tensor parameters, gradients;
  std::vector<MemberBatch> batches;
};

void ExpectAutogradAgrees(int64_t width, double probability) {
  Pack pack(width);
  const std::vector<double> loss = pack.Run(probability);
  for (int64_t k = 0; k < width; ++k) {
    NaiveModel naive(pack.layout, pack.parameters[k]);
    at::Tensor expected = naive.Loss(pack.batches[k], Pack::DropoutOf(k, probability));
    expected.backward();
    EXPECT_NEAR(loss[k], expected.item<double>(), 1e-11);
    for (const Parameter& parameter : pack.layout.parameters()) {
      const at::Tensor actual =
          pack.gradients[k].narrow(0, parameter.offset, parameter.count()).view(parameter.shape);
      const double difference = (actual - naive[parameter.name].grad()).abs().max().item<double>();
      EXPECT_LT(difference, 1e-11) << parameter.name << " of member " << k;
    }
  }
}

TEST(GradientsTest, EqualAutogradForOneMember) { ExpectAutogradAgrees(1, 0); }
TEST(GradientsTest, EqualAutogradForOneMemberWithDropout) { ExpectAutogradAgrees(1, kDropout); }
TEST(GradientsTest, EqualAutogradForAStackWithDropoutAndUnequalLengths) {
  ExpectAutogradAgrees(3, kDropout);
}

TEST(GradientsTest, AStackedRowEqualsTheMemberAloneToRounding) {
  Pack stacked(3, at::kFloat);
  const std::vector<double> losses = stacked.Run(kDropout);
  for (int64_t k = 0; k < 3; ++k) {
    Pack single(1, at::kFloat);
    single.parameters[0].copy_(stacked.parameters[k]);
    Transformer model(single.layout, 16, at::kFloat, MakeCpuOps(at::kFloat));
    double loss = 0;
    model.LossAndGradients(Weights::View(single.parameters, single.layout),
                           Weights::View(single.gradients, single.layout),
                           PackBatch{{&stacked.batches[k]}, {Pack::DropoutOf(k, kDropout)}}, &loss);
    EXPECT_NEAR(losses[k], loss, 1e-5);
    EXPECT_LT((stacked.gradients[k] - single.gradients[0]).abs().max().item<double>(), 1e-5);
  }
}

TEST(GradientsTest, DropoutChangesWithTheStep) {
  Pack pack(1);
  const double first = pack.Run(kDropout)[0];
  Transformer model(pack.layout, 16, at::kDouble, MakeCpuOps(at::kDouble));
  double second = 0;
  model.LossAndGradients(
      Weights::View(pack.parameters, pack.layout), Weights::View(pack.gradients, pack.layout),
      PackBatch{{&pack.batches[0]}, {Dropout::For(40, 1001, kDropout)}}, &second);
  EXPECT_NE(first, second);
}

TEST(GradientsTest, TheModelIsCausalAndSequencesDoNotSeeEachOther) {
  Pack pack(1);
  const Weights weights = Weights::View(pack.parameters, pack.layout);
  Transformer model(pack.layout, 16, at::kDouble, MakeCpuOps(at::kDouble));
  MemberBatch batch = MakeBatch(3, 2);
  const at::Tensor before = model.Encode(weights, batch).clone();
  const int32_t last = batch.sequences[0].first_row + batch.sequences[0].length - 1;
  batch.tokens[last] = batch.tokens[last] == 1 ? 2 : 1;
  const at::Tensor change = (model.Encode(weights, batch) - before).abs().amax(1);
  for (int64_t row = 0; row < batch.rows(); ++row) {
    EXPECT_EQ(change[row].item<double>() != 0, row == last) << "row " << row;
  }
}

}  // namespace
}  // namespace coppice::trainer

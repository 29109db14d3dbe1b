#include "bench/trainer/baseline.h"

#include <malloc.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "bench/trainer/workload.h"
#include "worker/trainer/train/permutation.h"
#include "worker/trainer/train/schedule.h"

namespace coppice::bench {
namespace {

namespace nn = torch::nn;
using torch::Tensor;

nn::Linear NoBias(int64_t in, int64_t out) {
  return nn::Linear(nn::LinearOptions(in, out).bias(false));
}

struct AttentionImpl : nn::Module {
  AttentionImpl(const trainer::ModelConfig& model, bool fused)
      : heads(model.heads), d_head(model.d_model / model.heads) {
    const int64_t d = model.d_model;
    if (fused) {
      qkv = register_module("qkv", NoBias(d, 3 * d));
    } else {
      q = register_module("q", NoBias(d, d));
      k = register_module("k", NoBias(d, d));
      v = register_module("v", NoBias(d, d));
    }
    merge = register_module("merge", NoBias(d, d));
    dropout = register_module("dropout", nn::Dropout(model.dropout));
  }

  Tensor forward(const Tensor& x, const Tensor& mask) {
    const int64_t batch = x.size(0), length = x.size(1);
    std::vector<Tensor> projected;
    if (qkv) {
      projected = qkv(x).chunk(3, -1);
    } else {
      projected = {q(x), k(x), v(x)};
    }
    for (Tensor& one : projected) one = one.view({batch, length, heads, d_head}).transpose(1, 2);
    Tensor scores = torch::matmul(projected[0], projected[1].transpose(-2, -1)) /
                    std::sqrt(static_cast<double>(d_head));
    scores = scores.masked_fill(mask, -std::numeric_limits<float>::infinity());
    const Tensor weights = dropout(torch::softmax(scores, -1));
    const Tensor context = torch::matmul(weights, projected[2]);
    return merge(context.transpose(1, 2).reshape({batch, length, heads * d_head}));
  }

  const int64_t heads, d_head;
  nn::Linear qkv{nullptr}, q{nullptr}, k{nullptr}, v{nullptr}, merge{nullptr};
  nn::Dropout dropout{nullptr};
};
TORCH_MODULE(Attention);

struct LayerImpl : nn::Module {
  LayerImpl(const trainer::ModelConfig& model, bool fused)
      : attention(register_module("attention", Attention(model, fused))),
        linear1(register_module("linear1", nn::Linear(model.d_model, model.d_ff))),
        linear2(register_module("linear2", nn::Linear(model.d_ff, model.d_model))),
        norm1(register_module("norm1", nn::LayerNorm(nn::LayerNormOptions({model.d_model})))),
        norm2(register_module("norm2", nn::LayerNorm(nn::LayerNormOptions({model.d_model})))),
        dropout(register_module("dropout", nn::Dropout(model.dropout))) {}

  Tensor forward(const Tensor& input, const Tensor& mask) {
    const Tensor x = norm1(input + dropout(attention(input, mask)));
    return norm2(x + dropout(linear2(dropout(torch::relu(linear1(x))))));
  }

  Attention attention;
  nn::Linear linear1, linear2;
  nn::LayerNorm norm1, norm2;
  nn::Dropout dropout;
};
TORCH_MODULE(Layer);

Tensor PositionTable(int64_t positions, int64_t d) {
  const Tensor frequencies = torch::exp(torch::arange(0, d, 2, torch::kFloat) *
                                        (-std::log(10000.0) / static_cast<double>(d)));
  const Tensor angles = torch::arange(positions, torch::kFloat).unsqueeze(1) * frequencies;
  Tensor table = torch::zeros({positions, d});
  table.slice(1, 0, d, 2).copy_(torch::sin(angles));
  table.slice(1, 1, d, 2).copy_(torch::cos(angles));
  return table;
}

struct ModelImpl : nn::Module {
  ModelImpl(const trainer::ModelShape& shape, const trainer::ModelConfig& model, int64_t max_length,
            bool fused)
      : d_model(shape.d_model),
        embedding(register_module("embedding", nn::Embedding(shape.vocabulary, shape.d_model))),
        output(register_module("output", nn::Linear(shape.d_model, shape.vocabulary))),
        dropout(register_module("dropout", nn::Dropout(model.dropout))) {
    for (int64_t i = 0; i < shape.depth; ++i)
      layers.push_back(register_module("layer" + std::to_string(i), Layer(model, fused)));
    positions = register_buffer("positions", PositionTable(max_length, shape.d_model));
    mask = register_buffer(
        "mask", torch::ones({max_length, max_length}, torch::kBool).triu(/*diagonal=*/1));
  }

  // tokens [B, T] -> logits [B, T, V]. Padding comes after a sequence's own rows, so the causal
  // mask hides it too.
  Tensor forward(const Tensor& tokens) {
    const int64_t length = tokens.size(1);
    const Tensor visible = mask.slice(0, 0, length).slice(1, 0, length);
    const Tensor scaled = embedding(tokens) * std::sqrt(static_cast<double>(d_model));
    Tensor x = dropout(scaled + positions.slice(0, 0, length));
    for (Layer& layer : layers) x = layer(x, visible);
    return output(x);
  }

  const int64_t d_model;
  nn::Embedding embedding;
  nn::Linear output;
  nn::Dropout dropout;
  std::vector<Layer> layers;
  Tensor positions, mask;
};
TORCH_MODULE(Model);

// Elements `first` .. `first` + `count` of a parameter, and their place in the trainer's layout:
// pieces of `piece` elements, `stride` apart.
struct Place {
  Tensor parameter;
  int64_t first = 0, count = 0;
  int64_t offset = 0, piece = 0, stride = 0;
};

std::vector<Place> PlacesOf(Model& model, const trainer::ParameterLayout& layout, bool fused) {
  std::vector<Place> places;
  auto whole = [&](const Tensor& parameter, int64_t offset) {
    const int64_t count = parameter.numel();
    places.push_back({parameter, 0, count, offset, count, count});
  };
  const int64_t square = layout.shape().d_model * layout.shape().d_model;
  const int64_t head = square / layout.shape().heads;
  whole(model->embedding->weight, layout.embedding());
  for (size_t i = 0; i < model->layers.size(); ++i) {
    Layer& layer = model->layers[i];
    Attention& attention = layer->attention;
    const trainer::LayerOffsets& at = layout.layers()[i];
    const auto projection = [&](int64_t index, nn::Linear alone) {
      return fused ? Place{attention->qkv->weight, index * square, square}
                   : Place{alone->weight, 0, square};
    };
    Place q = projection(0, attention->q), k = projection(1, attention->k),
          v = projection(2, attention->v);
    q.offset = at.qkv;
    q.piece = q.stride = square;
    // In the layout, k and v alternate by head.
    k.offset = at.qkv + square;
    v.offset = k.offset + head;
    k.piece = v.piece = head;
    k.stride = v.stride = 2 * head;
    places.insert(places.end(), {q, k, v});
    whole(attention->merge->weight, at.merge);
    whole(layer->linear1->weight, at.linear1);
    whole(layer->linear1->bias, at.bias1);
    whole(layer->linear2->weight, at.linear2);
    whole(layer->linear2->bias, at.bias2);
    whole(layer->norm1->weight, at.gamma1);
    whole(layer->norm1->bias, at.beta1);
    whole(layer->norm2->weight, at.gamma2);
    whole(layer->norm2->bias, at.beta2);
  }
  whole(model->output->weight, layout.output());
  whole(model->output->bias, layout.output_bias());
  return places;
}

// Calls copy(values in the baseline, offset in the layout, count) for each stretch that is
// contiguous in both. tensor(parameter) returns the tensor of the parameter to use, contiguous.
template <typename T, typename TensorOf, typename Copy>
void ForEachPiece(const std::vector<Place>& places, TensorOf tensor_of, Copy copy) {
  for (const Place& place : places) {
    const Tensor tensor = tensor_of(place.parameter);
    T* values = tensor.data_ptr<T>() + place.first;
    for (int64_t done = 0; done < place.count; done += place.piece)
      copy(values + done, place.offset + done / place.piece * place.stride, place.piece);
  }
}

Tensor Values(const Tensor& parameter) { return parameter.detach(); }
Tensor Gradient(const Tensor& parameter) { return parameter.grad(); }

// Clipping and AdamW on flat buffers.
class FlatAdamW {
 public:
  FlatAdamW(std::vector<Tensor> parameters, const trainer::TrainConfig& train)
      : parameters_(std::move(parameters)), train_(train) {
    torch::NoGradGuard no_grad;
    std::vector<Tensor> flat;
    for (const Tensor& parameter : parameters_) flat.push_back(parameter.detach().reshape(-1));
    values_ = torch::cat(flat);
    int64_t first = 0;
    for (Tensor& parameter : parameters_) {
      const int64_t count = parameter.numel();
      parameter.set_data(values_.narrow(0, first, count).view(parameter.sizes()));
      first += count;
    }
    m_ = torch::zeros_like(values_);
    v_ = torch::zeros_like(values_);
    gradients_ = torch::empty_like(values_);
    denominator_ = torch::empty_like(values_);
  }

  void Step(int64_t step) {
    torch::NoGradGuard no_grad;
    std::vector<Tensor> flat;
    for (const Tensor& parameter : parameters_) flat.push_back(parameter.grad().reshape(-1));
    torch::cat_out(gradients_, flat);
    const Tensor norm = torch::linalg_vector_norm(gradients_);
    gradients_.mul_((train_.clip_norm / (norm + 1e-6)).clamp_max(1.0));
    m_.lerp_(gradients_, 1 - train_.beta1);
    v_.mul_(train_.beta2).addcmul_(gradients_, gradients_, 1 - train_.beta2);
    const auto updates = static_cast<double>(step + 1);
    const double correction1 = 1 - std::pow(train_.beta1, updates);
    const double correction2 = 1 - std::pow(train_.beta2, updates);
    torch::sqrt_out(denominator_, v_);
    denominator_.div_(std::sqrt(correction2)).add_(train_.epsilon);
    values_.addcdiv_(m_, denominator_, -trainer::LearningRate(train_, step) / correction1);
  }

 private:
  std::vector<Tensor> parameters_;
  const trainer::TrainConfig train_;
  Tensor values_, m_, v_, gradients_, denominator_;  // [P]
};

}  // namespace

struct Baseline::Impl {
  Impl(BaselineKind kind, const trainer::RunConfig& run, const trainer::Dataset* dataset,
       uint64_t seed)
      : run(run),
        dataset(dataset),
        layout(ShapeOf(run, *dataset)),
        model(layout.shape(), run.model, LongestSequence(*dataset), kind == BaselineKind::kTuned),
        places(PlacesOf(model, layout, kind == BaselineKind::kTuned)),
        order(seed, static_cast<int32_t>(dataset->train.examples.size()),
              static_cast<int32_t>(run.train.batch_size)) {
    std::vector<float> initial(layout.row_size());
    trainer::InitializeParameters(layout, seed, initial.data());
    ForEachPiece<float>(places, Values, [&](float* values, int64_t offset, int64_t count) {
      std::copy_n(initial.data() + offset, count, values);
    });
    model->train();
    if (kind == BaselineKind::kTuned) {
      flat = std::make_unique<FlatAdamW>(model->parameters(), run.train);
      at::globalContext().setFlushDenormal(true);
    } else {
      stock = std::make_unique<torch::optim::AdamW>(
          model->parameters(), torch::optim::AdamWOptions(run.train.learning_rate)
                                   .betas({run.train.beta1, run.train.beta2})
                                   .eps(run.train.epsilon)
                                   .weight_decay(run.train.weight_decay));
    }
  }

  // The mean loss over the real tokens of a step's batch.
  Tensor Loss(int64_t step) {
    constexpr int64_t kIgnored = -100;
    const int32_t* indices = order.Batch(step);
    const int64_t batch = run.train.batch_size;
    size_t longest = 0;
    for (int64_t b = 0; b < batch; ++b)
      longest = std::max(longest, dataset->train.examples[indices[b]].tokens.size());
    const int64_t length = static_cast<int64_t>(longest) + 1;
    Tensor tokens = torch::full({batch, length}, trainer::Vocabulary::kPad, torch::kLong);
    Tensor targets = torch::full({batch, length}, kIgnored, torch::kLong);
    for (int64_t b = 0; b < batch; ++b) {
      const std::vector<int32_t>& words = dataset->train.examples[indices[b]].tokens;
      int64_t* read = tokens.data_ptr<int64_t>() + b * length;
      int64_t* wanted = targets.data_ptr<int64_t>() + b * length;
      read[0] = dataset->vocabulary.sos();
      std::copy(words.begin(), words.end(), read + 1);
      std::copy(words.begin(), words.end(), wanted);
      wanted[words.size()] = dataset->vocabulary.eos();
    }
    const Tensor logits = model(tokens);
    return nn::functional::cross_entropy(
        logits.view({-1, logits.size(2)}), targets.view(-1),
        nn::functional::CrossEntropyFuncOptions().ignore_index(kIgnored));
  }

  void EagerStep(int64_t step) {
    stock->zero_grad();
    const Tensor loss = Loss(step);
    loss.backward();
    nn::utils::clip_grad_norm_(model->parameters(), run.train.clip_norm);
    for (torch::optim::OptimizerParamGroup& group : stock->param_groups()) {
      static_cast<torch::optim::AdamWOptions&>(group.options())
          .lr(trainer::LearningRate(run.train, step));
    }
    stock->step();
    loss_sum += loss.item<double>();
  }

  void TunedStep(int64_t step) {
    model->zero_grad(/*set_to_none=*/true);
    const Tensor loss = Loss(step);
    loss.backward();
    flat->Step(step);
    const Tensor detached = loss.detach();
    tuned_loss_sum = tuned_loss_sum.defined() ? tuned_loss_sum.add_(detached) : detached.clone();
  }

  const trainer::RunConfig run;
  const trainer::Dataset* const dataset;
  const trainer::ParameterLayout layout;
  Model model;
  const std::vector<Place> places;
  trainer::BatchOrder order;
  std::unique_ptr<torch::optim::AdamW> stock;
  std::unique_ptr<FlatAdamW> flat;
  // The loss, which a user reports now and then.
  double loss_sum = 0;
  Tensor tuned_loss_sum;
};

Baseline::Baseline(BaselineKind kind, const trainer::RunConfig& run,
                   const trainer::Dataset* dataset, uint64_t seed)
    : impl_(std::make_unique<Impl>(kind, run, dataset, seed)) {}

Baseline::~Baseline() = default;

void Baseline::Step(int64_t step) {
  if (impl_->stock != nullptr) {
    impl_->EagerStep(step);
  } else {
    impl_->TunedStep(step);
  }
}

double Baseline::LossAndGradients(int64_t step, double* gradients) {
  Model& model = impl_->model;
  model->zero_grad(/*set_to_none=*/true);
  for (Tensor parameter : model->parameters()) parameter.set_data(parameter.to(torch::kDouble));
  model->positions.set_data(model->positions.to(torch::kDouble));
  const Tensor loss = impl_->Loss(step);
  loss.backward();
  ForEachPiece<double>(impl_->places, Gradient,
                       [&](const double* values, int64_t offset, int64_t count) {
                         std::copy_n(values, count, gradients + offset);
                       });
  return loss.item<double>();
}

void Baseline::CopyParameters(float* row) const {
  ForEachPiece<float>(impl_->places, Values,
                      [&](const float* values, int64_t offset, int64_t count) {
                        std::copy_n(values, count, row + offset);
                      });
}

void SetComputeThreads(int threads) { at::set_num_threads(threads); }

void KeepFreedMemory() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
}

}  // namespace coppice::bench

// The model against numbers of the reference implementation (tests/golden): weights, logits, loss,
// every gradient, clipped AdamW steps. COPPICE_GOLDEN_DIR may name another folder; every *_lm.json
// in it is taken.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "worker/trainer/model/kernels.h"
#include "worker/trainer/model/transformer.h"
#include "worker/trainer/train/optimizer.h"

namespace coppice::trainer {
namespace {

using nlohmann::json;

std::vector<std::string> GoldenFiles() {
  const char* from_environment = std::getenv("COPPICE_GOLDEN_DIR");
  const std::string directory =
      from_environment != nullptr ? from_environment : COPPICE_DEFAULT_GOLDEN_DIR;
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (name.size() > 8 && name.substr(name.size() - 8) == "_lm.json")
      files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// How far apart two numbers may be: `relative` of the largest magnitude in their tensor.
template <typename T>
void ExpectNear(const std::string& what, const std::vector<double>& expected, const T* actual,
                double relative) {
  double largest = 0;
  for (const double value : expected) largest = std::max(largest, std::abs(value));
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(expected[i], actual[i], relative * std::max(1e-3, largest))
        << what << " element " << i;
  }
}

template <typename T>
class Golden {
 public:
  explicit Golden(const std::string& file)
      : golden_(json::parse(std::ifstream(file))), layout_(Shape(golden_)) {
    constexpr at::ScalarType dtype = std::is_same_v<T, double> ? at::kDouble : at::kFloat;
    for (at::Tensor* buffer : {&parameters_, &gradients_, &m_, &v_}) {
      *buffer = at::zeros({1, layout_.row_size()}, at::dtype(dtype));
    }
    for (const Parameter& parameter : layout_.parameters()) {
      const std::vector<double> data = golden_["params"][parameter.name]["data"];
      EXPECT_EQ(golden_["params"][parameter.name]["shape"].get<std::vector<int64_t>>(),
                parameter.shape);
      std::copy(data.begin(), data.end(), parameters_.data_ptr<T>() + parameter.offset);
    }
    EXPECT_EQ(golden_["params"].size(), layout_.parameters().size());
    const json& config = golden_["config"];
    for (const std::vector<int32_t> sequence : golden_["batch"]["sequences"]) {
      batch_.Append(sequence.data(), static_cast<int32_t>(sequence.size()), config["sos_id"],
                    config["eos_id"]);
    }
    model_ = std::make_unique<Transformer>(layout_, 64, dtype, MakeCpuFusedOps(dtype));
    weights_ = Weights::View(parameters_, layout_);
    gradient_views_ = Weights::View(gradients_, layout_);
  }

  void CheckLogits(double tolerance) {
    const at::Tensor logits = model_->LogitsWithoutBias(weights_, model_->Encode(weights_, batch_));
    const std::vector<double> expected = golden_["batch"]["logits"]["data"];
    const std::vector<int64_t> shape = golden_["batch"]["logits"]["shape"];
    const int64_t vocabulary = shape[2];
    for (size_t b = 0; b < batch_.sequences.size(); ++b) {
      for (int32_t t = 0; t < batch_.sequences[b].length; ++t) {
        std::vector<double> row(vocabulary);
        std::vector<T> actual(vocabulary);
        for (int64_t i = 0; i < vocabulary; ++i) {
          row[i] = expected[(static_cast<int64_t>(b) * shape[1] + t) * vocabulary + i];
          actual[i] = logits.data_ptr<T>()[(batch_.sequences[b].first_row + t) * vocabulary + i] +
                      weights_.output_bias.data_ptr<T>()[i];
        }
        ExpectNear("logits", row, actual.data(), tolerance);
      }
    }
  }

  double Gradients() {
    double loss = 0;
    model_->LossAndGradients(weights_, gradient_views_, PackBatch{{&batch_}, {Dropout()}}, &loss);
    return loss;
  }

  void CheckGradients(double tolerance) {
    EXPECT_NEAR(Gradients(), golden_["batch"]["loss"].get<double>(), tolerance * 3);
    for (const Parameter& parameter : layout_.parameters()) {
      const std::vector<double> expected = golden_["batch"]["grads"][parameter.name]["data"];
      ExpectNear(parameter.name, expected, gradients_.data_ptr<T>() + parameter.offset, tolerance);
    }
    const double norm =
        std::sqrt(GetKernels<T>().square_sum(layout_.row_size(), gradients_.data_ptr<T>()));
    EXPECT_NEAR(norm, golden_["batch"]["grad_norm"].get<double>(), tolerance * 3);
    const double weights =
        std::sqrt(GetKernels<T>().square_sum(layout_.row_size(), parameters_.data_ptr<T>()));
    EXPECT_NEAR(weights, golden_["weight_norm"].get<double>(), tolerance * 20);
  }

  void CheckUpdates(double tolerance) {
    const json& adamw = golden_["adamw"];
    TrainConfig train;
    train.learning_rate = adamw["lr"];
    train.warmup_steps = 0;
    train.lr_decay_steps = 1'000'000'000'000;  // constant, to twelve digits
    train.beta1 = adamw["beta1"];
    train.beta2 = adamw["beta2"];
    train.epsilon = adamw["eps"];
    train.weight_decay = adamw["weight_decay"];
    train.clip_norm = adamw["max_grad_norm"];
    for (int64_t step = 0; step < adamw["steps"].get<int64_t>(); ++step) {
      EXPECT_NEAR(Gradients(), adamw["losses_before_each_step"][step].get<double>(), tolerance * 3);
      ClippedAdamW<T>(train, step,
                      {layout_.row_size(), gradients_.data_ptr<T>(), m_.data_ptr<T>(),
                       v_.data_ptr<T>(), parameters_.data_ptr<T>()});
    }
    for (const Parameter& parameter : layout_.parameters()) {
      const std::vector<double> expected = adamw["params_after"][parameter.name]["data"];
      ExpectNear(parameter.name, expected, parameters_.data_ptr<T>() + parameter.offset, tolerance);
    }
  }

 private:
  static ModelShape Shape(const json& golden) {
    const json& config = golden["config"];
    return {config["n_input_tokens"].get<int64_t>() + 2, config["d_model"], config["n_heads"],
            config["d_ff"], config["n_layers"]};
  }

  json golden_;
  ParameterLayout layout_;
  at::Tensor parameters_, gradients_, m_, v_;
  Weights weights_, gradient_views_;
  MemberBatch batch_;
  std::unique_ptr<Transformer> model_;
};

class GoldenTest : public testing::TestWithParam<std::string> {};

TEST_P(GoldenTest, LogitsLossAndEveryGradientInFloat64) {
  Golden<double> golden(GetParam());
  golden.CheckLogits(1e-9);
  golden.CheckGradients(1e-9);
}
TEST_P(GoldenTest, ClippedAdamWStepsInFloat64) { Golden<double>(GetParam()).CheckUpdates(1e-9); }
TEST_P(GoldenTest, LogitsLossAndEveryGradientInFloat32) {
  Golden<float> golden(GetParam());
  golden.CheckLogits(1e-4);
  golden.CheckGradients(1e-4);
}
TEST_P(GoldenTest, ClippedAdamWStepsInFloat32) { Golden<float>(GetParam()).CheckUpdates(1e-4); }

INSTANTIATE_TEST_SUITE_P(Files, GoldenTest, testing::ValuesIn(GoldenFiles()), [](const auto& info) {
  std::string name = std::filesystem::path(info.param).stem().string();
  std::replace_if(
      name.begin(), name.end(),
      [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
});

TEST(GoldenFilesTest, ThereIsAtLeastOne) { EXPECT_FALSE(GoldenFiles().empty()); }

}  // namespace
}  // namespace coppice::trainer

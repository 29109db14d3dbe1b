// A model with the weights of a golden file.
#ifndef COPPICE_TESTS_WORKER_TRAINER_GOLDEN_H_
#define COPPICE_TESTS_WORKER_TRAINER_GOLDEN_H_

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/testing/golden_files.h"
#include "torch/version.h"
#include "worker/trainer/model/transformer.h"

namespace coppice::trainer {

// The distance allowed between float64 results and golden values. Even then the position table is
// float32, by LibTorch's own sine and cosine (SinusoidalPositions). Those of 2.x, and those of 1.13
// without AVX2, differ in the last bits from the versions that made the files: by up to 1.2e-7,
// which moves a gradient by up to 1e-6 of its largest element. trainer_gradients_test checks the
// arithmetic itself to 1e-11 everywhere.
inline bool LibTorchUsesAvx2() {
#if defined(__x86_64__)
  const char* setting = std::getenv("ATEN_CPU_CAPABILITY");
  return __builtin_cpu_supports("avx2") &&
         (setting == nullptr || std::string(setting) != "default");
#else
  return false;
#endif
}
inline const double kFloat64Tolerance =
    TORCH_VERSION_MAJOR >= 2 || !LibTorchUsesAvx2() ? 1e-5 : 1e-9;

inline std::string GoldenName(const testing::TestParamInfo<std::string>& info) {
  std::string name = std::filesystem::path(info.param).stem().string();
  std::replace_if(
      name.begin(), name.end(),
      [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
}

// Allows `relative` of the largest magnitude in the tensor.
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

inline void ExpectClose(const std::string& what, double expected, double actual, double relative) {
  EXPECT_NEAR(expected, actual, relative * std::max(1.0, std::abs(expected))) << what;
}

// Fills each of `pack` rows of the flat buffers with the same model.
template <typename T>
class GoldenModel {
 public:
  static constexpr at::ScalarType kType = std::is_same_v<T, double> ? at::kDouble : at::kFloat;

  GoldenModel(const std::string& file, int64_t pack)
      : golden(nlohmann::json::parse(std::ifstream(file))), pack(pack), layout(Shape(golden)) {
    for (at::Tensor* buffer : {&parameters, &gradients, &m, &v}) {
      *buffer = at::zeros({pack, layout.row_size()}, at::dtype(kType));
    }
    EXPECT_EQ(golden["params"].size(), layout.parameters().size());
    for (const Parameter& parameter : layout.parameters()) {
      const std::vector<double> data = golden["params"][parameter.name]["data"];
      EXPECT_EQ(golden["params"][parameter.name]["shape"].get<std::vector<int64_t>>(),
                parameter.shape);
      for (int64_t k = 0; k < pack; ++k)
        std::copy(data.begin(), data.end(), Row(parameters, k) + parameter.offset);
    }
    model = std::make_unique<Transformer>(layout, LongestSequence(), kType, MakeCpuOps(kType));
    weights = Weights::View(parameters, layout);
    gradient_views = Weights::View(gradients, layout);
  }

  T* Row(const at::Tensor& buffer, int64_t k) {
    return buffer.data_ptr<T>() + k * layout.row_size();
  }
  int32_t sos() const { return golden["config"]["sos_id"]; }
  int32_t eos() const { return golden["config"]["eos_id"]; }

  const nlohmann::json golden;
  const int64_t pack;
  const ParameterLayout layout;
  at::Tensor parameters, gradients, m, v;
  Weights weights, gradient_views;
  std::unique_ptr<Transformer> model;

 private:
  static ModelShape Shape(const nlohmann::json& golden) {
    const nlohmann::json& config = golden["config"];
    return {config["n_input_tokens"].get<int64_t>() + 2, config["d_model"], config["n_heads"],
            config["d_ff"], config["n_layers"]};
  }
  // SOS included.
  int64_t LongestSequence() const {
    size_t longest = 0;
    for (const auto& sequence : golden["batch"]["sequences"])
      longest = std::max(longest, sequence.size());
    for (const auto& sentence : golden.at("tree_projections"))
      longest = std::max(longest, sentence["tokens"].size());
    return static_cast<int64_t>(longest) + 1;
  }
};

}  // namespace coppice::trainer

#endif  // COPPICE_TESTS_WORKER_TRAINER_GOLDEN_H_

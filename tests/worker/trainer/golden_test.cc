// The model against numbers of the reference implementation (tests/golden): weights, logits, loss,
// every gradient, clipped AdamW steps; alone and as the same model in each row of a pack.
// COPPICE_GOLDEN_DIR may name another folder; every *_lm.json in it is used.
#include "tests/worker/trainer/golden.h"

#include "worker/trainer/model/kernels.h"
#include "worker/trainer/train/optimizer.h"

namespace coppice::trainer {
namespace {

using nlohmann::json;

template <typename T>
class Golden : public GoldenModel<T> {
 public:
  using Base = GoldenModel<T>;

  explicit Golden(const std::string& file, int64_t pack = 1) : Base(file, pack) {
    for (const std::vector<int32_t> sequence : this->golden["batch"]["sequences"]) {
      batch_.Append(sequence.data(), static_cast<int32_t>(sequence.size()), this->sos(),
                    this->eos());
    }
    pack_batch_.members.assign(pack, &batch_);
    pack_batch_.dropout.assign(pack, Dropout());
  }

  void CheckLogits(double tolerance) {
    const at::Tensor logits =
        this->model->LogitsWithoutBias(this->weights, this->model->Encode(this->weights, batch_));
    const std::vector<double> expected = this->golden["batch"]["logits"]["data"];
    const std::vector<int64_t> shape = this->golden["batch"]["logits"]["shape"];
    const int64_t vocabulary = shape[2];
    for (size_t b = 0; b < batch_.sequences.size(); ++b) {
      for (int32_t t = 0; t < batch_.sequences[b].length; ++t) {
        const auto first = expected.begin() + (static_cast<int64_t>(b) * shape[1] + t) * vocabulary;
        std::vector<T> actual(vocabulary);
        for (int64_t i = 0; i < vocabulary; ++i) {
          actual[i] = logits.data_ptr<T>()[(batch_.sequences[b].first_row + t) * vocabulary + i] +
                      this->weights.output_bias.template data_ptr<T>()[i];
        }
        ExpectNear("logits", {first, first + vocabulary}, actual.data(), tolerance);
      }
    }
  }

  void CheckLoss(const json& expected, double tolerance) {
    std::vector<double> loss(this->pack);
    this->model->LossAndGradients(this->weights, this->gradient_views, pack_batch_, loss.data());
    for (int64_t k = 0; k < this->pack; ++k) ExpectClose("loss", expected, loss[k], tolerance);
  }

  void CheckGradients(double tolerance) {
    CheckLoss(this->golden["batch"]["loss"], tolerance);
    for (int64_t k = 0; k < this->pack; ++k) {
      CheckRow(this->golden["batch"]["grads"], this->gradients, k, tolerance);
      ExpectClose("gradient norm", this->golden["batch"]["grad_norm"], Norm(this->gradients, k),
                  tolerance);
      ExpectClose("weight norm", this->golden["weight_norm"], Norm(this->parameters, k), tolerance);
    }
  }

  void CheckUpdates(double tolerance) {
    const json& adamw = this->golden["adamw"];
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
      CheckLoss(adamw["losses_before_each_step"][step], tolerance);
      for (int64_t k = 0; k < this->pack; ++k) {
        ClippedAdamW<T>(
            train, step,
            {this->layout.row_size(), this->Row(this->gradients, k), this->Row(this->m, k),
             this->Row(this->v, k), this->Row(this->parameters, k)});
      }
    }
    for (int64_t k = 0; k < this->pack; ++k)
      CheckRow(adamw["params_after"], this->parameters, k, tolerance);
  }

 private:
  double Norm(const at::Tensor& buffer, int64_t k) {
    return std::sqrt(GetKernels<T>().square_sum(this->layout.row_size(), this->Row(buffer, k)));
  }

  void CheckRow(const json& expected, const at::Tensor& buffer, int64_t k, double tolerance) {
    for (const Parameter& parameter : this->layout.parameters()) {
      ExpectNear(parameter.name, expected[parameter.name]["data"].get<std::vector<double>>(),
                 this->Row(buffer, k) + parameter.offset, tolerance);
    }
  }

  MemberBatch batch_;
  PackBatch pack_batch_;
};

class GoldenTest : public testing::TestWithParam<std::string> {};

TEST_P(GoldenTest, LogitsLossAndEveryGradientInFloat64) {
  Golden<double> golden(GetParam());
  golden.CheckLogits(kFloat64Tolerance);
  golden.CheckGradients(kFloat64Tolerance);
}
TEST_P(GoldenTest, ClippedAdamWStepsInFloat64) {
  Golden<double>(GetParam()).CheckUpdates(kFloat64Tolerance);
}
TEST_P(GoldenTest, EveryRowOfAPackInFloat64) {
  Golden<double>(GetParam(), 3).CheckGradients(kFloat64Tolerance);
  Golden<double>(GetParam(), 3).CheckUpdates(kFloat64Tolerance);
}
TEST_P(GoldenTest, LogitsLossAndEveryGradientInFloat32) {
  Golden<float> golden(GetParam());
  golden.CheckLogits(1e-4);
  golden.CheckGradients(1e-4);
}
TEST_P(GoldenTest, ClippedAdamWStepsInFloat32) { Golden<float>(GetParam()).CheckUpdates(1e-4); }
TEST_P(GoldenTest, EveryRowOfAPackInFloat32) {
  Golden<float>(GetParam(), 3).CheckGradients(1e-4);
  Golden<float>(GetParam(), 3).CheckUpdates(1e-4);
}

INSTANTIATE_TEST_SUITE_P(Files, GoldenTest, testing::ValuesIn(GoldenFiles("_lm.json")), GoldenName);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GoldenTest);

TEST(GoldenFilesTest, ThereIsAtLeastOneModelOrParseFile) {
  EXPECT_FALSE(GoldenFiles("_lm.json").empty() && GoldenFiles("_parses.json").empty())
      << "no *_lm.json and no *_parses.json in " << GoldenDirectory();
}

}  // namespace
}  // namespace coppice::trainer

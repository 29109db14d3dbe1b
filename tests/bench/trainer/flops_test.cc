#include "bench/trainer/flops.h"

#include "gtest/gtest.h"

namespace coppice::bench {
namespace {

constexpr trainer::ModelShape kShape = {
    .vocabulary = 11, .d_model = 6, .heads = 2, .d_ff = 10, .depth = 3};

// Operations of [m, k] · [k, n], product by product, as a naive loop does them.
double Product(int64_t m, int64_t k, int64_t n) {
  double operations = 0;
  for (int64_t i = 0; i < m * n; ++i) operations += 2 * static_cast<double>(k);
  return operations;
}

TEST(FlopsTest, MatrixProductsAreThoseOfEachLayerAndTheOutput) {
  constexpr int64_t kRows = 4;
  const double layer =
      Product(kRows, 6, 18) + Product(kRows, 6, 6) + Product(kRows, 6, 10) + Product(kRows, 10, 6);
  const double forward = 3 * layer + Product(kRows, 6, 11);
  EXPECT_EQ(CountFlops(kShape, {kRows}).matrices, 3 * forward);
}

TEST(FlopsTest, AttentionIsCountedForTheRowsThatAreSeen) {
  double forward = 0;
  for (const int64_t length : {4, 1, 7}) {
    for (int64_t row = 1; row <= length; ++row) {
      for (int head = 0; head < 2; ++head)
        forward += Product(1, /*d_head=*/3, row) + Product(1, row, /*d_head=*/3);
    }
  }
  EXPECT_EQ(CountFlops(kShape, {4, 1, 7}).attention, 3 * 3 * forward);
}

TEST(FlopsTest, SequencesAddUp) {
  const StepFlops both = CountFlops(kShape, {5, 9});
  EXPECT_EQ(both.total(), CountFlops(kShape, {5}).total() + CountFlops(kShape, {9}).total());
  EXPECT_EQ(CountFlops(kShape, {}).total(), 0);
}

}  // namespace
}  // namespace coppice::bench

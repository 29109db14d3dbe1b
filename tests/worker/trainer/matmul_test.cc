#include "worker/trainer/model/matmul.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "ATen/ATen.h"
#include "worker/trainer/train/runtime.h"

namespace coppice::trainer {
namespace {

struct Shape {
  int64_t rows, inner, columns;
};
// Shapes of a small model, and shapes with a side of one.
const Shape kShapes[] = {{187, 64, 192}, {216, 128, 128}, {37, 96, 21}, {64, 216, 256},
                         {1, 64, 64},    {5, 1, 7},       {9, 33, 1},   {1, 1, 1},
                         {23, 300, 47},  {3, 130, 80}};

class MatmulTest : public testing::Test {
 protected:
  MatmulTest() {
    PrepareComputeThread();
    at::manual_seed(7);
  }

  // The largest error, in units of the rounding error of a sum of `inner` products.
  static double ErrorOf(const at::Tensor& got, const at::Tensor& a, const at::Tensor& b,
                        const at::Tensor& before) {
    const at::Tensor exact = at::matmul(a.to(at::kDouble), b.to(at::kDouble)) + before;
    const at::Tensor scale =
        at::matmul(a.to(at::kDouble).abs(), b.to(at::kDouble).abs()) + before.abs();
    return ((got.to(at::kDouble) - exact).abs() / scale.clamp_min(1e-30)).max().item<double>();
  }
};

TEST_F(MatmulTest, EveryLayoutGivesTheProduct) {
  for (const Shape& s : kShapes) {
    for (const int64_t members : {0, 1, 3}) {  // 0: two dimensions
      for (const bool a_turned : {false, true}) {
        for (const bool b_turned : {false, true}) {
          const auto make = [&](int64_t r, int64_t c, bool turned) {
            std::vector<int64_t> sizes;
            if (members > 0) sizes.push_back(members);
            sizes.push_back(turned ? c : r);
            sizes.push_back(turned ? r : c);
            const at::Tensor t = at::randn(sizes);
            return turned ? t.transpose(-2, -1) : t;
          };
          const at::Tensor a = make(s.rows, s.inner, a_turned);
          const at::Tensor b = make(s.inner, s.columns, b_turned);
          const at::Tensor out = make(s.rows, s.columns, false);
          const at::Tensor before = out.clone().to(at::kDouble);
          const std::string name = std::to_string(s.rows) + "x" + std::to_string(s.inner) + "x" +
                                   std::to_string(s.columns) + (a_turned ? "T" : "N") +
                                   (b_turned ? "T" : "N") + std::to_string(members);
          AddProduct(out, a, b);
          EXPECT_LT(ErrorOf(out, a, b, before), 1e-6) << name;
          Product(out, a, b);
          EXPECT_LT(ErrorOf(out, a, b, at::zeros_like(before)), 1e-6) << name;
        }
      }
    }
  }
}

TEST_F(MatmulTest, PartsOfLargerBuffersAreReadAndWrittenAlone) {
  const at::Tensor wide = at::randn({40, 100}), weights = at::randn({50, 64});
  const at::Tensor a = wide.narrow(0, 3, 20).narrow(1, 7, 64);
  const at::Tensor buffer = at::full({30, 80}, 5.0f);
  const at::Tensor out = buffer.narrow(0, 4, 20).narrow(1, 10, 50);
  Linear(out, a, weights);
  EXPECT_LT(ErrorOf(out, a, weights.t(), at::zeros({1}, at::kDouble)), 1e-6);
  out.fill_(5.0f);
  EXPECT_TRUE(at::equal(buffer, at::full({30, 80}, 5.0f)));
}

// A job's trajectory depends on this: neither its place in a pack nor its memory address matters.
TEST_F(MatmulTest, AMemberOfAStackGetsTheSameBitsAsAlone) {
  const int64_t rows = 187, inner = 64, columns = 192, members = 5;
  const int64_t odd = columns * inner + 13;  // parameter rows may begin at any address
  const at::Tensor parameters = at::randn({members, odd});
  const at::Tensor w = parameters.narrow(1, 5, columns * inner).unflatten(1, {columns, inner});
  const at::Tensor x = at::randn({members, rows, inner});
  const at::Tensor y = at::empty({members, rows, columns}),
                   dw = at::empty({members, columns, inner});
  const at::Tensor dx = at::randn({members, rows, inner}), dx_before = dx.clone();
  Linear(y, x, w);
  LinearWeightGrad(dw, y, x);
  AddLinearInputGrad(dx, y, w);
  for (int64_t k = 0; k < members; ++k) {
    const at::Tensor own_w = w[k].clone(), own_x = x[k].clone(), own_dx = dx_before[k].clone();
    const at::Tensor own_y = at::empty({rows, columns}), own_dw = at::empty({columns, inner});
    Linear(own_y, own_x, own_w);
    LinearWeightGrad(own_dw, own_y, own_x);
    AddLinearInputGrad(own_dx, own_y, own_w);
    EXPECT_TRUE(at::equal(own_y, y[k])) << k;
    EXPECT_TRUE(at::equal(own_dw, dw[k])) << k;
    EXPECT_TRUE(at::equal(own_dx, dx[k])) << k;
  }
}

TEST_F(MatmulTest, DoublesAreComputedAsDoubles) {
  const at::Tensor a = at::randn({20, 30}, at::kDouble), b = at::randn({30, 10}, at::kDouble);
  const at::Tensor out = at::empty({20, 10}, at::kDouble);
  Product(out, a, b);
  EXPECT_LT((out - at::matmul(a, b)).abs().max().item<double>(), 1e-12);
}

TEST_F(MatmulTest, ShapesThatDoNotFitAreRefused) {
  const at::Tensor out = at::empty({4, 5});
  EXPECT_THROW(Product(out, at::empty({4, 3}), at::empty({2, 5})), std::invalid_argument);
  EXPECT_THROW(Product(out, at::empty({3, 3}), at::empty({3, 5})), std::invalid_argument);
  EXPECT_THROW(Product(out, at::empty({2, 4, 3}), at::empty({2, 3, 5})), std::invalid_argument);
}

}  // namespace
}  // namespace coppice::trainer

#include "worker/trainer/model/products.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/trainer/scoped_environment.h"
#include "worker/trainer/base/random.h"

namespace coppice::trainer {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Rows, terms and columns: of a small model, with sides of one, and near the sizes of tiles and
// blocks.
struct Shape {
  int64_t rows, terms, columns;
};
const Shape kShapes[] = {{187, 64, 192}, {216, 128, 128}, {37, 96, 21},   {64, 216, 256},
                         {1, 64, 64},    {5, 1, 7},       {9, 33, 1},     {1, 1, 1},
                         {23, 300, 47},  {3, 130, 80},    {33, 31, 16},   {16, 32, 33},
                         {17, 513, 15},  {600, 40, 530},  {530, 140, 49}, {48, 129, 545}};

// Numbers in a buffer of NaN, by rows or by columns, so that reads outside them are visible.
class Matrix {
 public:
  Matrix(int64_t rows, int64_t columns, bool by_columns, uint32_t salt)
      : rows_(rows), columns_(columns), by_columns_(by_columns) {
    leading_ = (by_columns ? rows : columns) + 3;
    buffer_.assign(leading_ * ((by_columns ? columns : rows) + 2), kNan);
    PhiloxStream random({5, 6}, salt, 7);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; ++j) at(i, j) = static_cast<float>(random.Uniform() * 2 - 1);
    }
  }

  float& at(int64_t i, int64_t j) {
    return buffer_[leading_ + 1 + (by_columns_ ? j * leading_ + i : i * leading_ + j)];
  }
  MatrixView view() {
    return {&at(0, 0), rows_, columns_, by_columns_ ? 1 : leading_, by_columns_ ? leading_ : 1};
  }
  MatrixView rows(int64_t first, int64_t count) {
    MatrixView part = view();
    part.data = &at(first, 0);
    part.rows = count;
    return part;
  }
  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }
  // Compares the surroundings of the numbers too.
  bool SameBits(const Matrix& other) const {
    return buffer_.size() == other.buffer_.size() &&
           std::memcmp(buffer_.data(), other.buffer_.data(), buffer_.size() * sizeof(float)) == 0;
  }

 private:
  int64_t rows_, columns_, leading_ = 0;
  bool by_columns_;
  std::vector<float> buffer_;
};

// Each element's error, relative to the sum of its terms' magnitudes.
std::vector<double> ErrorsOf(Matrix& out, Matrix& a, Matrix& b, Matrix* before) {
  std::vector<double> errors;
  for (int64_t i = 0; i < out.rows(); ++i) {
    for (int64_t j = 0; j < out.columns(); ++j) {
      double exact = before != nullptr ? before->at(i, j) : 0, size = std::abs(exact);
      for (int64_t p = 0; p < a.columns(); ++p) {
        const double term = static_cast<double>(a.at(i, p)) * b.at(p, j);
        exact += term;
        size += std::abs(term);
      }
      // NaN counts as an infinite error, which survives in the largest one.
      const double error = std::abs(out.at(i, j) - exact) / std::max(size, 1e-30);
      errors.push_back(std::isnan(error) ? std::numeric_limits<double>::infinity() : error);
    }
  }
  return errors;
}

double Largest(const std::vector<double>& errors) {
  return *std::max_element(errors.begin(), errors.end());
}

double RootMeanSquare(const std::vector<double>& errors) {
  double sum = 0;
  for (const double error : errors) sum += error * error;
  return std::sqrt(sum / static_cast<double>(errors.size()));
}

std::vector<NamedProduct> Products() {
  NamedProduct all[kProductVariants];
  const int count = ListProducts(all);
  return {all, all + count};
}

class ProductsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (Products().empty()) GTEST_SKIP() << "this machine has no AVX2";
  }
};

TEST_F(ProductsTest, EveryLayoutGivesTheProductAndTouchesNothingElse) {
  for (const NamedProduct& product : Products()) {
    for (const Shape& s : kShapes) {
      for (const bool a_by_columns : {false, true}) {
        for (const bool b_by_columns : {false, true}) {
          SCOPED_TRACE(testing::Message() << product.name << " " << s.rows << "x" << s.terms << "x"
                                          << s.columns << " " << a_by_columns << b_by_columns);
          Matrix a(s.rows, s.terms, a_by_columns, 1), b(s.terms, s.columns, b_by_columns, 2);
          Matrix out(s.rows, s.columns, false, 3), before = out;
          product.multiply(out.view(), a.view(), b.view(), /*add=*/true);
          EXPECT_LT(Largest(ErrorsOf(out, a, b, &before)), 5e-7);
          product.multiply(out.view(), a.view(), b.view(), /*add=*/false);
          EXPECT_LT(Largest(ErrorsOf(out, a, b, nullptr)), 5e-7);
          for (int64_t i = 0; i < s.rows; ++i) {
            for (int64_t j = 0; j < s.columns; ++j) out.at(i, j) = before.at(i, j);
          }
          EXPECT_TRUE(out.SameBits(before));
        }
      }
    }
  }
}

// A product of split numbers is as good as one of float32: its error is not above that of summing
// in float32.
TEST_F(ProductsTest, NoneIsLessExactThanFloat32) {
  Matrix a(187, 128, false, 1), b(128, 96, true, 2);
  Matrix plain(187, 96, false, 3);
  for (int64_t i = 0; i < plain.rows(); ++i) {
    for (int64_t j = 0; j < plain.columns(); ++j) {
      float sum = 0;
      for (int64_t p = 0; p < a.columns(); ++p) sum = std::fma(a.at(i, p), b.at(p, j), sum);
      plain.at(i, j) = sum;
    }
  }
  const double expected = RootMeanSquare(ErrorsOf(plain, a, b, nullptr));
  for (const NamedProduct& product : Products()) {
    Matrix out(187, 96, false, 3);
    product.multiply(out.view(), a.view(), b.view(), false);
    EXPECT_LT(RootMeanSquare(ErrorsOf(out, a, b, nullptr)), 1.05 * expected) << product.name;
  }
}

// The omitted parts of a product have no preferred sign: over many products they cancel.
TEST_F(ProductsTest, ErrorsOfSingleTermsHaveNoBias) {
  for (const NamedProduct& product : Products()) {
    Matrix a(200, 1, false, 1), b(1, 200, false, 2), out(200, 200, false, 3);
    product.multiply(out.view(), a.view(), b.view(), false);
    double sum = 0;
    for (int64_t i = 0; i < 200; ++i) {
      for (int64_t j = 0; j < 200; ++j) {
        const double exact = static_cast<double>(a.at(i, 0)) * b.at(0, j);
        sum += (out.at(i, j) - exact) / exact;
      }
    }
    EXPECT_LT(std::abs(sum / (200 * 200)), std::ldexp(1.0, -27)) << product.name;
  }
}

// Two parts represent twelve bits, and the sums fit into float32.
TEST_F(ProductsTest, WholeNumbersAreExact) {
  for (const NamedProduct& product : Products()) {
    Matrix a(40, 100, false, 1), b(100, 50, false, 2), out(40, 50, false, 3);
    for (int64_t p = 0; p < 100; ++p) {
      for (int64_t i = 0; i < 40; ++i) a.at(i, p) = static_cast<float>(i * 97 % 41 * 100 + p);
      for (int64_t j = 0; j < 50; ++j) b.at(p, j) = static_cast<float>(p * 31 % 39 + j % 2);
    }
    product.multiply(out.view(), a.view(), b.view(), false);
    EXPECT_EQ(Largest(ErrorsOf(out, a, b, nullptr)), 0) << product.name;
  }
}

TEST_F(ProductsTest, SizesFarApartAreKept) {
  for (const NamedProduct& product : Products()) {
    Matrix a(20, 40, false, 1), b(40, 30, true, 2), out(20, 30, false, 3);
    for (int64_t p = 0; p < 40; ++p) {
      const float size = std::ldexp(1.0f, static_cast<int>(p * 5 - 100));
      for (int64_t i = 0; i < 20; ++i) a.at(i, p) *= size;
      for (int64_t j = 0; j < 30; ++j) b.at(p, j) /= size;
    }
    product.multiply(out.view(), a.view(), b.view(), false);
    EXPECT_LT(Largest(ErrorsOf(out, a, b, nullptr)), 5e-7) << product.name;
  }
}

// A member's divergence must be visible, and rows of others must not change.
TEST_F(ProductsTest, WhatIsNotFiniteStaysInItsRow) {
  for (const NamedProduct& product : Products()) {
    Matrix a(40, 70, false, 1), b(70, 50, false, 2), clean(40, 50, false, 3);
    product.multiply(clean.view(), a.view(), b.view(), false);
    for (const float bad : {kNan, -kNan, std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity()}) {
      Matrix wrong = a, out(40, 50, false, 3);
      wrong.at(17, 33) = bad;
      product.multiply(out.view(), wrong.view(), b.view(), false);
      for (int64_t j = 0; j < 50; ++j) {
        EXPECT_FALSE(std::isfinite(out.at(17, j))) << product.name << " " << bad;
        out.at(17, j) = clean.at(17, j);
      }
      EXPECT_TRUE(out.SameBits(clean)) << product.name << " " << bad;
    }
  }
}

// NaN stays NaN whatever its bits, also if rounding carries into the sign.
TEST_F(ProductsTest, ANanOfAnyBitsStaysOne) {
  for (const NamedProduct& product : Products()) {
    for (const uint32_t bits : {0x7fffffffu, 0xffffffffu, 0x7f800001u, 0x7fff8000u}) {
      Matrix a(3, 5, false, 1), b(5, 4, false, 2), out(3, 4, false, 3);
      std::memcpy(&a.at(1, 2), &bits, sizeof bits);
      product.multiply(out.view(), a.view(), b.view(), false);
      for (int64_t j = 0; j < 4; ++j) EXPECT_TRUE(std::isnan(out.at(1, j))) << product.name;
    }
  }
}

// A sentence must get the same states alone and beside others.
TEST_F(ProductsTest, ARowHasTheSameBitsInEveryBatch) {
  for (const NamedProduct& product : Products()) {
    Matrix x(187, 300, false, 1), w(300, 130, true, 2), all(187, 130, false, 3);
    product.multiply(all.view(), x.view(), w.view(), false);
    for (const int64_t count : {1, 2, 5, 16, 17, 33, 140}) {
      Matrix some = all;
      for (int64_t i = 40; i < 40 + count; ++i) {
        for (int64_t j = 0; j < 130; ++j) some.at(i, j) = 0;
      }
      product.multiply(some.rows(40, count), x.rows(40, count), w.view(), false);
      EXPECT_TRUE(some.SameBits(all)) << product.name << " " << count;
    }
  }
}

// The rows of a bucket after those of the batch are zeros.
TEST_F(ProductsTest, TermsOfZeroBehindTheLastChangeNoBit) {
  for (const NamedProduct& product : Products()) {
    for (const int64_t terms : {30, 127, 128, 150, 187, 260}) {
      Matrix a(96, terms + 150, true, 1), b(terms + 150, 64, false, 2);
      for (int64_t p = terms; p < terms + 150; ++p) {
        for (int64_t i = 0; i < 96; ++i) a.at(i, p) = 0;
        for (int64_t j = 0; j < 64; ++j) b.at(p, j) = 0;
      }
      MatrixView short_a = a.view(), short_b = b.view();
      short_a.columns = short_b.rows = terms;
      Matrix exact(96, 64, false, 3), padded = exact;
      product.multiply(exact.view(), short_a, short_b, false);
      product.multiply(padded.view(), a.view(), b.view(), false);
      EXPECT_TRUE(exact.SameBits(padded)) << product.name << " " << terms;
    }
  }
}

// A run may move from a machine with AVX-512 to one without, or back.
TEST_F(ProductsTest, Avx2AndAvx512GiveTheSameBits) {
  std::vector<NamedProduct> products = Products();
  if (std::string(products[0].name) == "AMX") products.erase(products.begin());
  if (products.size() < 2) GTEST_SKIP() << "this machine has no AVX-512, or it is off";
  EXPECT_EQ(products[0].most_weights, products[1].most_weights);
  for (const Shape& s : kShapes) {
    for (const bool a_by_columns : {false, true}) {
      for (const bool b_by_columns : {false, true}) {
        for (const bool add : {false, true}) {
          Matrix a(s.rows, s.terms, a_by_columns, 1), b(s.terms, s.columns, b_by_columns, 2);
          Matrix one(s.rows, s.columns, false, 3), other = one;
          products[0].multiply(one.view(), a.view(), b.view(), add);
          products[1].multiply(other.view(), a.view(), b.view(), add);
          EXPECT_TRUE(one.SameBits(other)) << s.rows << "x" << s.terms << "x" << s.columns << " "
                                           << a_by_columns << b_by_columns << add;
        }
      }
    }
  }
}

// The switches emulate a lesser CPU in tests, and keep the bits equal in a cluster of mixed
// machines.
TEST(ProductSwitchesTest, WhatIsOffIsLeftOutWithWhatBuildsOnIt) {
  const auto names = [] {
    std::vector<std::string> names;
    for (const NamedProduct& product : Products()) names.push_back(product.name);
    return names;
  };
  using ::testing::Contains;
  using ::testing::IsEmpty;
  using ::testing::Not;
  {
    const ScopedEnvironment off("COPPICE_AMX", "off");
    EXPECT_THAT(names(), Not(Contains("AMX")));
  }
  {
    const ScopedEnvironment off("COPPICE_AVX512", "off");
    EXPECT_THAT(names(), Not(Contains("AMX")));
    EXPECT_THAT(names(), Not(Contains("AVX-512")));
  }
  {
    const ScopedEnvironment off("COPPICE_AVX2", "off");
    EXPECT_THAT(names(), IsEmpty());
  }
}

TEST_F(ProductsTest, ThreadsDoNotDisturbEachOther) {
  for (const NamedProduct& product : Products()) {
    Matrix a(187, 128, false, 1), b(128, 96, true, 2), expected(187, 96, false, 3);
    product.multiply(expected.view(), a.view(), b.view(), false);
    std::vector<int> same(2);
    std::vector<std::thread> threads;
    for (int& count : same) {
      threads.emplace_back([&] {
        Matrix own_a = a, own_b = b;
        for (int i = 0; i < 200; ++i) {
          Matrix out(187, 96, false, 3);
          product.multiply(out.view(), own_a.view(), own_b.view(), false);
          count += out.SameBits(expected) ? 1 : 0;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const int count : same) EXPECT_EQ(count, 200) << product.name;
  }
}

}  // namespace
}  // namespace coppice::trainer

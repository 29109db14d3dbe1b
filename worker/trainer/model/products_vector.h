// The products of products_avx*.cc; only these files include it. The scheme is that of Goto & van
// de Geijn 2008, without its outermost loops, which matrices of this size do not need. A panel of b
// is packed into the first-level cache and multiplied with all of a, one tile of results in
// registers at a time. Every instruction set adds the terms of an element in the same order, with
// fused multiply-add, in consecutive blocks of kPanelDepth terms. So all give the same bits.
//
// Everything is in an unnamed namespace and calls no function template of the standard library:
// kernels_vector.h says why.
#ifndef COPPICE_WORKER_TRAINER_MODEL_PRODUCTS_VECTOR_H_
#define COPPICE_WORKER_TRAINER_MODEL_PRODUCTS_VECTOR_H_

#include <cstdint>

#include "worker/trainer/model/products.h"

namespace coppice::trainer {
namespace {

constexpr int kTileRows = 6;
constexpr int kPanelDepth = 128;

template <int n>
struct Number {
  static constexpr int kValue = n;
};

inline int64_t Least(int64_t a, int64_t b) { return a < b ? a : b; }

// out [kRows, kWide · kVectors] from `depth` columns of a and as many rows of a panel. `masks` mark
// the columns that exist.
template <typename V, int kRows, int kVectors, bool kColumnMajor>
inline void Tile(int64_t depth, const float* a, int64_t stride, const float* panel, bool add,
                 const typename V::Mask* masks, float* out, int64_t row_stride) {
  typename V::Floats sums[kRows][kVectors];
#pragma GCC unroll 6
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) sums[i][j] = V::Zero();
  }
  for (int64_t p = 0; p < depth; ++p) {
    typename V::Floats row[kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) row[j] = V::Load(panel + j * V::kWide);
#pragma GCC unroll 6
    for (int i = 0; i < kRows; ++i) {
      const typename V::Floats factor = V::All(kColumnMajor ? a[i] : a[i * stride]);
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) sums[i][j] = V::MultiplyAdd(factor, row[j], sums[i][j]);
    }
    panel += kVectors * V::kWide;
    a += kColumnMajor ? stride : 1;
  }
#pragma GCC unroll 6
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      float* to = out + i * row_stride + j * V::kWide;
      if (add) sums[i][j] = V::Add(sums[i][j], V::LoadSome(masks[j], to));
      V::StoreSome(to, masks[j], sums[i][j]);
    }
  }
}

// Multiplies all rows of a with one panel. Tiles have nearly the same number of rows, because a
// last tile of a single row would leave the multiply-add units waiting.
template <typename V, int kVectors, bool kColumnMajor>
void MultiplyPanel(const MatrixView& out, const MatrixView& a, const float* panel, bool add) {
  typename V::Mask masks[kVectors];
  for (int j = 0; j < kVectors; ++j)
    masks[j] = V::First(Least(V::kWide, out.columns - j * V::kWide));
  const int64_t stride = kColumnMajor ? a.column_stride : a.row_stride;
  const int64_t tiles = (a.rows + kTileRows - 1) / kTileRows;
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t first = t * a.rows / tiles;
    const float* from = a.data + first * a.row_stride;
    float* to = out.data + first * out.row_stride;
    const auto tile = [&](auto rows) {
      Tile<V, decltype(rows)::kValue, kVectors, kColumnMajor>(a.columns, from, stride, panel, add,
                                                              masks, to, out.row_stride);
    };
    switch ((t + 1) * a.rows / tiles - first) {
      case 1:
        tile(Number<1>());
        break;
      case 2:
        tile(Number<2>());
        break;
      case 3:
        tile(Number<3>());
        break;
      case 4:
        tile(Number<4>());
        break;
      case 5:
        tile(Number<5>());
        break;
      default:
        tile(Number<6>());
        break;
    }
  }
}

// panel[p * padded + j] = b(p, j); zero in columns that b does not have.
template <typename V>
void Pack(const MatrixView& b, int64_t padded, float* panel) {
  if (b.column_stride == 1) {
    for (int64_t p = 0; p < b.rows; ++p) {
      for (int64_t j = 0; j < padded; j += V::kWide) {
        const typename V::Mask mask = V::First(Least(V::kWide, b.columns - j));
        V::Store(panel + p * padded + j, V::LoadSome(mask, b.data + p * b.row_stride + j));
      }
    }
    return;
  }
  for (int64_t j = 0; j < padded; j += V::kWide) {
    int64_t p = 0;
    if (j + V::kWide <= b.columns) {
      for (; p + V::kWide <= b.rows; p += V::kWide) {
        V::Transpose(b.data + j * b.column_stride + p, b.column_stride, panel + p * padded + j,
                     padded);
      }
    }
    for (; p < b.rows; ++p) {
      for (int64_t l = j; l < j + V::kWide; ++l) {
        panel[p * padded + l] = l < b.columns ? b.data[l * b.column_stride + p] : 0;
      }
    }
  }
}

template <typename V, int kVectors>
void PackAndMultiply(const MatrixView& out, const MatrixView& a, const MatrixView& b, bool add,
                     float* panel) {
  Pack<V>(b, kVectors * V::kWide, panel);
  if (a.column_stride == 1) {
    MultiplyPanel<V, kVectors, false>(out, a, panel, add);
  } else {
    MultiplyPanel<V, kVectors, true>(out, a, panel, add);
  }
}

// Uses as many vectors as the columns need, at most kMost.
template <typename V, int kMost>
void MultiplyVectors(const MatrixView& out, const MatrixView& a, const MatrixView& b, bool add,
                     float* panel) {
  if constexpr (kMost > 1) {
    if (out.columns <= (kMost - 1) * V::kWide) {
      MultiplyVectors<V, kMost - 1>(out, a, b, add, panel);
      return;
    }
  }
  PackAndMultiply<V, kMost>(out, a, b, add, panel);
}

template <typename V>
void Multiply(const MatrixView& out, const MatrixView& a, const MatrixView& b, bool add) {
  constexpr int64_t kPanelWidth = V::kTileVectors * V::kWide;
  alignas(64) float panel[kPanelDepth * kPanelWidth];
  for (int64_t j = 0; j < out.columns; j += kPanelWidth) {
    const int64_t width = Least(kPanelWidth, out.columns - j);
    const MatrixView to{out.data + j, out.rows, width, out.row_stride, 1};
    for (int64_t p = 0; p < a.columns; p += kPanelDepth) {
      const int64_t k = Least(kPanelDepth, a.columns - p);
      const MatrixView left{a.data + p * a.column_stride, a.rows, k, a.row_stride, a.column_stride};
      const MatrixView right{b.data + p * b.row_stride + j * b.column_stride, k, width,
                             b.row_stride, b.column_stride};
      MultiplyVectors<V, V::kTileVectors>(to, left, right, add || p > 0, panel);
    }
  }
}

}  // namespace
}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_PRODUCTS_VECTOR_H_

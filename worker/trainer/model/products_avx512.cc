// See products.h. The scheme is that of Goto & van de Geijn 2008 without its outermost loops, which
// matrices of this size do not need: a panel of b, packed into the first-level cache, is multiplied
// with all of a, a tile of 6 x 64 results in registers at a time. 24 sums hide the latency of the
// multiply-add, and a step of four loads and six broadcasts feeds them all.
#include <immintrin.h>

#include "worker/trainer/model/kernels_variants.h"
#include "worker/trainer/model/products.h"

namespace coppice::trainer {
namespace {

constexpr int kWide = 16;         // floats in a register
constexpr int kTileRows = 6;      // of a tile
constexpr int kTileVectors = 4;   // and of each of its rows
constexpr int kPanelDepth = 128;  // 32 KiB a panel

template <int n>
struct Number {
  static constexpr int kValue = n;
};

inline int64_t Least(int64_t a, int64_t b) { return a < b ? a : b; }

// [kRows, 16 kVectors] of out from `depth` columns of a and rows of a panel; `masks` say which
// columns exist.
template <int kRows, int kVectors, bool kColumnMajor>
inline void Tile(int64_t depth, const float* a, int64_t stride, const float* panel, bool add,
                 const __mmask16* masks, float* out, int64_t down) {
  __m512 sums[kRows][kVectors];
#pragma GCC unroll 6
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) sums[i][j] = _mm512_setzero_ps();
  }
  for (int64_t p = 0; p < depth; ++p) {
    __m512 row[kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) row[j] = _mm512_load_ps(panel + j * kWide);
#pragma GCC unroll 6
    for (int i = 0; i < kRows; ++i) {
      const __m512 factor = _mm512_set1_ps(kColumnMajor ? a[i] : a[i * stride]);
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) sums[i][j] = _mm512_fmadd_ps(factor, row[j], sums[i][j]);
    }
    panel += kVectors * kWide;
    a += kColumnMajor ? stride : 1;
  }
#pragma GCC unroll 6
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      float* to = out + i * down + j * kWide;
      if (add) sums[i][j] = _mm512_add_ps(sums[i][j], _mm512_maskz_loadu_ps(masks[j], to));
      _mm512_mask_storeu_ps(to, masks[j], sums[i][j]);
    }
  }
}

// All rows of a with one panel. Tiles have nearly the same number of rows: a last one of a single
// row would leave the multiply-add units waiting.
template <int kVectors, bool kColumnMajor>
void MultiplyPanel(const MatrixView& out, const MatrixView& a, const float* panel, bool add) {
  __mmask16 masks[kVectors];
  for (int j = 0; j < kVectors; ++j) {
    const int64_t width = Least(kWide, out.columns - j * kWide);
    masks[j] = static_cast<__mmask16>((1u << width) - 1);
  }
  const int64_t stride = kColumnMajor ? a.right : a.down;
  const int64_t tiles = (a.rows + kTileRows - 1) / kTileRows;
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t first = t * a.rows / tiles;
    const float* from = a.data + first * a.down;
    float* to = out.data + first * out.down;
    const auto tile = [&](auto rows) {
      Tile<decltype(rows)::kValue, kVectors, kColumnMajor>(a.columns, from, stride, panel, add,
                                                           masks, to, out.down);
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

// out[c * out_stride + r] = in[r * in_stride + c] for 16 x 16 elements, as two rounds of exchanges
// within quarters of registers and two of the quarters.
inline void Transpose(const float* in, int64_t in_stride, float* out, int64_t out_stride) {
  __m512 r[16], t[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) r[i] = _mm512_loadu_ps(in + i * in_stride);
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    const int at = i / 4 * 4 + i % 4 / 2;
    const __m512d low = _mm512_castps_pd(t[at]), high = _mm512_castps_pd(t[at + 2]);
    r[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
    r[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    const int from = i / 4 * 8 + i % 4, at = i / 4 * 8 + i % 4;
    t[at] = _mm512_shuffle_f32x4(r[from], r[from + 4], 0x88);
    t[at + 4] = _mm512_shuffle_f32x4(r[from], r[from + 4], 0xdd);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    _mm512_store_ps(out + i * out_stride, _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88));
    _mm512_store_ps(out + (i + 8) * out_stride, _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd));
  }
}

// panel[p * padded + j] = b(p, j), and zero for columns that b lacks.
void Pack(const MatrixView& b, int64_t padded, float* panel) {
  if (b.right == 1) {
    for (int64_t p = 0; p < b.rows; ++p) {
      for (int64_t j = 0; j < padded; j += kWide) {
        const int64_t width = Least(kWide, b.columns - j);
        const auto mask = static_cast<__mmask16>((1u << width) - 1);
        _mm512_store_ps(panel + p * padded + j,
                        _mm512_maskz_loadu_ps(mask, b.data + p * b.down + j));
      }
    }
    return;
  }
  for (int64_t j = 0; j < padded; j += kWide) {
    int64_t p = 0;
    if (j + kWide <= b.columns) {
      for (; p + kWide <= b.rows; p += kWide) {
        Transpose(b.data + j * b.right + p, b.right, panel + p * padded + j, padded);
      }
    }
    for (; p < b.rows; ++p) {
      for (int64_t l = j; l < j + kWide; ++l) {
        panel[p * padded + l] = l < b.columns ? b.data[l * b.right + p] : 0;
      }
    }
  }
}

template <int kVectors>
void PackAndMultiply(const MatrixView& out, const MatrixView& a, const MatrixView& b, bool add,
                     float* panel) {
  Pack(b, kVectors * kWide, panel);
  if (a.right == 1) {
    MultiplyPanel<kVectors, false>(out, a, panel, add);
  } else {
    MultiplyPanel<kVectors, true>(out, a, panel, add);
  }
}

void Multiply(const MatrixView& out, const MatrixView& a, const MatrixView& b, bool add) {
  alignas(64) float panel[kPanelDepth * kTileVectors * kWide];
  for (int64_t j = 0; j < out.columns; j += kTileVectors * kWide) {
    const int64_t width = Least(kTileVectors * kWide, out.columns - j);
    const MatrixView to{out.data + j, out.rows, width, out.down, 1};
    for (int64_t p = 0; p < a.columns; p += kPanelDepth) {
      const int64_t k = Least(kPanelDepth, a.columns - p);
      const MatrixView left{a.data + p * a.right, a.rows, k, a.down, a.right};
      const MatrixView right{b.data + p * b.down + j * b.right, k, width, b.down, b.right};
      const bool more = add || p > 0;
      switch ((width + kWide - 1) / kWide) {
        case 1:
          PackAndMultiply<1>(to, left, right, more, panel);
          break;
        case 2:
          PackAndMultiply<2>(to, left, right, more, panel);
          break;
        case 3:
          PackAndMultiply<3>(to, left, right, more, panel);
          break;
        default:
          PackAndMultiply<4>(to, left, right, more, panel);
          break;
      }
    }
  }
}

}  // namespace

const ProductKernel kAvx512Product = Multiply;

}  // namespace coppice::trainer

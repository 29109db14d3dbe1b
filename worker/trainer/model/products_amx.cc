// See products.h: float32 by the tile unit (AMX), which multiplies bfloat16 sixteen times as fast
// as the vector portions multiply float32. A float32 is exactly the sum of three bfloat16 numbers,
// each with eight of its 24 bits. Of the nine products of two such sums the six large ones are
// added in float32. The other three would add less than 2^-25 of the product, half of a float32's
// rounding error (Henry, Tang & Heinecke 2019). A number beyond 3.39e38, the largest bfloat16,
// counts as not finite.
//
// The loops and their names are those of BLIS (Van Zee & van de Geijn 2015). Factors are packed:
// split into parts and stored as micro-panels in the order in which the micro-kernel reads them. A
// micro-panel has MR rows of a, or NR columns of b, and KC terms of their products; here MR = NR.
// The micro-kernel multiplies two of them and keeps the MR x NR results, two by two tiles, in
// registers. The macro-kernel packs a block of one factor, which stays in the cache (MC rows of a,
// or as many columns of b), and streams the micro-panels of the other factor past it.
//
// Software pipelining: while the tile unit works, 16 cycles per instruction, the vector portions
// pack the next micro-panels and store the previous results. A line is a row of a or a column of b.
#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "worker/trainer/model/kernels_variants.h"
#include "worker/trainer/model/products.h"

namespace coppice::trainer {
namespace {

constexpr int64_t kTileLines = 16;              // lines of a tile; floats of a vector register
constexpr int64_t kMR = 2 * kTileLines;         // lines of a micro-panel: MR and NR
constexpr int64_t kTileTerms = 2 * kTileLines;  // terms of a tile
constexpr int64_t kTilesOfKC = 4;               // KC is 128 terms: a micro-panel has 24 KiB
constexpr int64_t kMC = 512;                    // lines of the block that stays in the cache
constexpr int64_t kTileWords = 256;             // of a tile: pairs of terms, or results
constexpr int64_t kParts = 3;                   // parts of a number, the largest first
constexpr int64_t kPartsWords = kParts * kTileWords;  // the parts of a tile, one after the other
constexpr int64_t kPanelStepWords = 2 * kPartsWords;  // two tiles: kTileTerms terms of all lines
constexpr int64_t kPanelWords = kTilesOfKC * kPanelStepWords;  // of a micro-panel
constexpr int64_t kPackedVectors = 4;                          // vectors that are packed at once
constexpr int64_t kPartProducts = 6;  // products of parts for the terms of a tile

inline __mmask16 Mask(int64_t count) {
  return static_cast<__mmask16>((1u << std::clamp<int64_t>(count, 0, kTileLines)) - 1);
}

inline MatrixView Part(const MatrixView& m, int64_t row, int64_t rows, int64_t column,
                       int64_t columns) {
  return {m.data + row * m.row_stride + column * m.column_stride, std::min(rows, m.rows - row),
          std::min(columns, m.columns - column), m.row_stride, m.column_stride};
}

// Writes the three parts of `low` as the low halves of words, and those of `high` as the high
// halves. A part is the remainder, rounded half away from zero to eight bits; the last part needs
// no rounding.
inline void Split(__m512 low, __m512 high, uint32_t* to) {
  const __m512i half = _mm512_set1_epi32(0x8000);
  const __m512i top = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
  const auto join = [&](__m512i l, __m512i h) {  // (l >> 16) | (h & top)
    return _mm512_ternarylogic_epi32(_mm512_srli_epi32(l, 16), h, top, 0xf8);
  };
  const auto remains = [&](__m512 number, __m512i rounded) {
    return _mm512_sub_ps(number, _mm512_castsi512_ps(_mm512_and_si512(rounded, top)));
  };
#pragma GCC unroll 2
  for (int part = 0; part < kParts - 1; ++part) {
    const __m512i l = _mm512_add_epi32(_mm512_castps_si512(low), half);
    const __m512i h = _mm512_add_epi32(_mm512_castps_si512(high), half);
    _mm512_store_si512(to + part * kTileWords, join(l, h));
    low = remains(low, l);
    high = remains(high, h);
  }
  _mm512_store_si512(to + (kParts - 1) * kTileWords,
                     join(_mm512_castps_si512(low), _mm512_castps_si512(high)));
}

// The source of a tile: 16 vectors of 16 lanes, once for the low and once for the high halves of
// its words. Lane l of vector v is at low[v * stride + l] or, transposed, at low[l * stride + v].
// Elements beyond the counts are zero.
struct Source {
  const float* low = nullptr;
  const float* high = nullptr;
  int64_t stride = 0;
  int64_t low_vectors = 0, high_vectors = 0, low_lanes = 0, high_lanes = 0;
};

inline void PackDirect(const Source& from, int64_t first, uint32_t* to) {
  const __mmask16 low = Mask(from.low_lanes), high = Mask(from.high_lanes);
#pragma GCC unroll 4
  for (int64_t v = first; v < first + kPackedVectors; ++v) {
    Split(_mm512_maskz_loadu_ps(v < from.low_vectors ? low : 0, from.low + v * from.stride),
          _mm512_maskz_loadu_ps(v < from.high_vectors ? high : 0, from.high + v * from.stride),
          to + v * kTileLines);
  }
}

// Transposes 16 rows of four floats to four vectors of 16 lanes.
inline void Transpose(const float* from, int64_t stride, __m512 out[kPackedVectors]) {
  __m512 r[kPackedVectors];
#pragma GCC unroll 4
  for (int i = 0; i < kPackedVectors; ++i) {
    const float* at = from + i * stride;
    r[i] = _mm512_castps128_ps512(_mm_loadu_ps(at));
    r[i] = _mm512_insertf32x4(r[i], _mm_loadu_ps(at + 4 * stride), 1);
    r[i] = _mm512_insertf32x4(r[i], _mm_loadu_ps(at + 8 * stride), 2);
    r[i] = _mm512_insertf32x4(r[i], _mm_loadu_ps(at + 12 * stride), 3);
  }
  const __m512d low01 = _mm512_castps_pd(_mm512_unpacklo_ps(r[0], r[1]));
  const __m512d high01 = _mm512_castps_pd(_mm512_unpackhi_ps(r[0], r[1]));
  const __m512d low23 = _mm512_castps_pd(_mm512_unpacklo_ps(r[2], r[3]));
  const __m512d high23 = _mm512_castps_pd(_mm512_unpackhi_ps(r[2], r[3]));
  out[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(low01, low23));
  out[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low01, low23));
  out[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high01, high23));
  out[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high01, high23));
}

inline void TransposeWithin(const float* from, int64_t stride, int64_t vectors, int64_t lanes,
                            __m512 out[kPackedVectors]) {
  if (vectors >= kPackedVectors && lanes >= kTileLines) return Transpose(from, stride, out);
  float whole[kTileLines * kPackedVectors];
  for (int64_t l = 0; l < kTileLines; ++l) {
    for (int64_t v = 0; v < kPackedVectors; ++v)
      whole[l * kPackedVectors + v] = l < lanes && v < vectors ? from[l * stride + v] : 0;
  }
  Transpose(whole, kPackedVectors, out);
}

inline void PackTransposed(const Source& from, int64_t first, uint32_t* to) {
  __m512 low[kPackedVectors], high[kPackedVectors];
  TransposeWithin(from.low + first, from.stride, from.low_vectors - first, from.low_lanes, low);
  TransposeWithin(from.high + first, from.stride, from.high_vectors - first, from.high_lanes, high);
#pragma GCC unroll 4
  for (int v = 0; v < kPackedVectors; ++v) Split(low[v], high[v], to + (first + v) * kTileLines);
}

// Packs lines of a factor as micro-panels, in small portions: panel after panel, and in a panel
// kTileTerms terms after kTileTerms terms. A word has two terms that are 16 apart.
class PanelPacker {
 public:
  PanelPacker() = default;  // with nothing to pack
  static PanelPacker OfRows(const MatrixView& a, uint32_t* panels) {
    return {a, a.rows, a.columns, true, panels};
  }
  static PanelPacker OfColumns(const MatrixView& b, uint32_t* panels) {
    return {b, b.columns, b.rows, false, panels};
  }

  bool done() const { return line_ >= lines_; }
  // The number of Advance calls until done().
  int64_t portions() const {
    return (lines_ + kTileLines - 1) / kTileLines * ((terms_ + kTileTerms - 1) / kTileTerms) *
           (kTileLines / kPackedVectors);
  }

  // Packs four more vectors, unless it is done.
  void Advance() {
    if (done()) return;
    transposed_ ? PackTransposed(source_, vector_, to_) : PackDirect(source_, vector_, to_);
    vector_ += kPackedVectors;
    if (vector_ == kTileLines) Next();
  }
  void Finish() {
    while (!done()) Advance();
  }
  // Advances until the micro-panel that begins with `line` is packed.
  void FinishPanel(int64_t line) {
    while (!done() && panel_ <= line) Advance();
  }

 private:
  PanelPacker(const MatrixView& factor, int64_t lines, int64_t terms, bool rows, uint32_t* panels)
      : factor_(factor), lines_(lines), terms_(terms), rows_(rows), to_(panels) {
    transposed_ = factor.column_stride != 1;
    if (!done()) LocateTile();
  }

  // Goes to the next tile.
  void Next() {
    vector_ = 0;
    to_ += kPartsWords;
    line_ += kTileLines;
    const int64_t end = std::min(panel_ + kMR, lines_);
    if (line_ >= end) {  // to the next terms
      if (end - panel_ <= kTileLines) to_ += kPartsWords;
      term_ += kTileTerms;
      line_ = panel_;
    }
    if (term_ >= terms_) {  // to the next micro-panel
      to_ += (kTilesOfKC - (terms_ + kTileTerms - 1) / kTileTerms) * kPanelStepWords;
      term_ = 0;
      panel_ += kMR;
      line_ = panel_;
    }
    if (!done()) LocateTile();
  }

  void LocateTile() {
    const int64_t lines = lines_ - line_, terms = terms_ - term_;
    const int64_t stride = transposed_ ? factor_.column_stride : factor_.row_stride;
    if (rows_) {  // a vector is a row
      const float* at = factor_.data + line_ * factor_.row_stride + term_ * factor_.column_stride;
      source_ = {at,
                 at + kTileLines * factor_.column_stride,
                 stride,
                 lines,
                 lines,
                 terms,
                 terms - kTileLines};
    } else {  // a vector is a term
      const float* at = factor_.data + term_ * factor_.row_stride + line_ * factor_.column_stride;
      source_ = {
          at,   at + kTileLines * factor_.row_stride, stride, terms, terms - kTileLines, lines,
          lines};
    }
  }

  MatrixView factor_;
  int64_t lines_ = 0, terms_ = 0;
  bool rows_ = false, transposed_ = false;
  uint32_t* to_ = nullptr;
  int64_t panel_ = 0, line_ = 0, term_ = 0, vector_ = 0;
  Source source_;
};

// Stores the results of a micro-kernel, two by two tiles, to `out`, row after row.
class MicroTileWriter {
 public:
  MicroTileWriter() = default;  // with nothing to write
  MicroTileWriter(const MatrixView& out, bool add, const float* tiles)
      : to_(out.data),
        row_stride_(out.row_stride),
        rows_(out.rows),
        left_(Mask(out.columns)),
        right_(Mask(out.columns - kTileLines)),
        add_(add),
        tiles_(tiles) {}

  void Advance() {
    if (row_ >= rows_) return;
    const float* from =
        tiles_ + row_ / kTileLines * 2 * kTileWords + row_ % kTileLines * kTileLines;
    Put(from, left_, to_);
    Put(from + kTileWords, right_, to_ + kTileLines);
    to_ += row_stride_;
    ++row_;
  }
  void Finish() {
    while (row_ < rows_) Advance();
  }

 private:
  void Put(const float* from, __mmask16 mask, float* to) const {
    __m512 result = _mm512_load_ps(from);
    if (add_) result = _mm512_add_ps(result, _mm512_maskz_loadu_ps(mask, to));
    _mm512_mask_storeu_ps(to, mask, result);
  }

  float* to_ = nullptr;
  int64_t row_stride_ = 0, rows_ = 0, row_ = 0;
  __mmask16 left_ = 0, right_ = 0;
  bool add_ = false;
  const float* tiles_ = nullptr;
};

// The software pipeline: the work of the vector portions beside the tile unit, a little after each
// product of parts. First come the previous results, then the block, then the next streamed
// micro-panel, spread over all products before it is needed.
class Pipeline {
 public:
  MicroTileWriter results;
  PanelPacker block;

  void PackNext(const PanelPacker& next, int64_t products) {
    next_ = next;
    portions_ = next.portions();
    products_ = products;
    credit_ = 0;
  }
  void FinishNextPanel() { next_.Finish(); }

  __attribute__((noinline)) void Advance() {
    results.Advance();
    results.Advance();
    credit_ += portions_;
    if (!block.done()) {
      block.Advance();
    } else if (credit_ >= products_) {
      credit_ -= products_;
      next_.Advance();
    }
  }

 private:
  PanelPacker next_;
  int64_t portions_ = 0, products_ = 1, credit_ = 0;
};

// Orders memory accesses around tile instructions: the compiler does not know what these read and
// write.
inline void Fence() { asm volatile("" ::: "memory"); }

// The micro-kernel: the product of two micro-panels, `steps` tiles long, as two by two tiles of
// results. Tiles of absent lines are not written. Registers 0 to 3 are results, 4 and 5 parts of a,
// 6 and 7 parts of b.
template <bool kTwoRows, bool kTwoColumns>
void MicroKernel(const uint32_t* a, const uint32_t* b, int64_t steps, float* results,
                 Pipeline* pipeline) {
  Fence();
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  const auto load_a = [&](int part) {
    _tile_loadd(4, a + part * kTileWords, 64);
    if (kTwoRows) _tile_loadd(5, a + kPartsWords + part * kTileWords, 64);
  };
  const auto load_b = [&](int part) {
    _tile_loadd(6, b + part * kTileWords, 64);
    if (kTwoColumns) _tile_loadd(7, b + kPartsWords + part * kTileWords, 64);
  };
  const auto multiply = [&] {
    _tile_dpbf16ps(0, 4, 6);
    if (kTwoColumns) _tile_dpbf16ps(1, 4, 7);
    if (kTwoRows) _tile_dpbf16ps(2, 5, 6);
    if (kTwoRows && kTwoColumns) _tile_dpbf16ps(3, 5, 7);
    pipeline->Advance();
  };
  for (int64_t s = 0; s < steps; ++s, a += kPanelStepWords, b += kPanelStepWords) {
    load_b(0);
    load_a(2);
    multiply();
    load_a(1);
    multiply();
    load_b(1);
    multiply();
    load_a(0);
    multiply();
    load_b(2);
    multiply();
    load_b(0);
    multiply();
  }
  _tile_stored(0, results, 64);
  if (kTwoColumns) _tile_stored(1, results + kTileWords, 64);
  if (kTwoRows) _tile_stored(2, results + 2 * kTileWords, 64);
  if (kTwoRows && kTwoColumns) _tile_stored(3, results + 3 * kTileWords, 64);
  Fence();
}

using MicroKernelFunction = void (*)(const uint32_t* a, const uint32_t* b, int64_t steps,
                                     float* results, Pipeline* pipeline);

MicroKernelFunction MicroKernelFor(bool two_rows, bool two_columns) {
  if (two_rows) return two_columns ? MicroKernel<true, true> : MicroKernel<true, false>;
  return two_columns ? MicroKernel<false, true> : MicroKernel<false, false>;
}

struct Scratch {
  alignas(64) uint32_t block[kMC / kMR * kPanelWords];
  alignas(64) uint32_t streamed[2][kPanelWords];
  alignas(64) float results[2][4 * kTileWords];
};

// The macro-kernel: out = or += the product of up to KC terms. The factor with fewer lines is
// packed as a block of at most kMC lines; the micro-panels of the other factor stream past it.
// `block_of_a`: the block is that of a.
void MacroKernel(const MatrixView& out, const MatrixView& a, const MatrixView& b, bool block_of_a,
                 bool add, Scratch* scratch) {
  const int64_t steps = (a.columns + kTileTerms - 1) / kTileTerms;
  const int64_t block_lines = block_of_a ? a.rows : b.columns;
  const int64_t streamed_lines = block_of_a ? b.columns : a.rows;
  const int64_t products =
      (block_lines + kMR - 1) / kMR * steps * kPartProducts;  // per streamed panel
  const auto panel_at = [&](int64_t line) { return scratch->streamed[line / kMR % 2]; };
  const auto streamed = [&](int64_t line) {
    if (line >= streamed_lines) return PanelPacker();
    return block_of_a ? PanelPacker::OfColumns(Part(b, 0, b.rows, line, kMR), panel_at(line))
                      : PanelPacker::OfRows(Part(a, line, kMR, 0, a.columns), panel_at(line));
  };
  Pipeline pipeline;
  pipeline.block = block_of_a ? PanelPacker::OfRows(a, scratch->block)
                              : PanelPacker::OfColumns(b, scratch->block);
  streamed(0).Finish();
  float *results = scratch->results[0], *previous_results = scratch->results[1];
  for (int64_t p = 0; p < streamed_lines; p += kMR) {
    pipeline.PackNext(streamed(p + kMR), products);
    for (int64_t k = 0; k < block_lines; k += kMR) {
      pipeline.block.FinishPanel(k);
      const MatrixView to = block_of_a ? Part(out, k, kMR, p, kMR) : Part(out, p, kMR, k, kMR);
      const uint32_t *left = scratch->block + k / kMR * kPanelWords, *right = panel_at(p);
      if (!block_of_a) std::swap(left, right);
      const MicroKernelFunction multiply =
          MicroKernelFor(to.rows > kTileLines, to.columns > kTileLines);
      multiply(left, right, steps, results, &pipeline);
      pipeline.results.Finish();
      pipeline.results = MicroTileWriter(to, add, results);
      std::swap(results, previous_results);
    }
    pipeline.FinishNextPanel();
  }
  pipeline.results.Finish();
}

// The operand of the instruction that sets the rows and row bytes of each tile.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// The loop over KC terms at a time. Each product is added to the sum of those before it, so that
// zeros after the last term change nothing.
void Multiply(const MatrixView& out, const MatrixView& a, const MatrixView& b, bool add) {
  static thread_local const auto scratch = std::make_unique<Scratch>();
  const TileConfig config;
  _tile_loadconfig(&config);
  const bool block_of_a = out.rows <= out.columns;
  for (int64_t term = 0; term < a.columns; term += kTilesOfKC * kTileTerms) {
    const MatrixView left = Part(a, 0, a.rows, term, kTilesOfKC * kTileTerms);
    const MatrixView right = Part(b, term, kTilesOfKC * kTileTerms, 0, b.columns);
    const bool more = add || term > 0;
    if (block_of_a) {
      for (int64_t row = 0; row < out.rows; row += kMC) {
        MacroKernel(Part(out, row, kMC, 0, out.columns), Part(left, row, kMC, 0, left.columns),
                    right, true, more, scratch.get());
      }
    } else {
      for (int64_t column = 0; column < out.columns; column += kMC) {
        MacroKernel(Part(out, 0, out.rows, column, kMC), left,
                    Part(right, 0, right.rows, column, kMC), false, more, scratch.get());
      }
    }
  }
  _tile_release();
}

}  // namespace

const ProductKernel kAmxProduct = Multiply;

}  // namespace coppice::trainer

// See products.h: float32 by the tile unit (AMX), which multiplies bfloat16 sixteen times as fast
// as the vector units multiply float32. A float32 is exactly the sum of three bfloat16 numbers,
// each with eight of its 24 bits. Of the nine products of two such sums the six large ones are
// added in float32. The other three would add less than 2^-25 of the product, half of a float32's
// rounding error (Henry, Tang & Heinecke 2019). A number beyond 3.39e38, the largest bfloat16,
// counts as not finite.
//
// Each factor is split and laid out as tiles: 16 lines (rows of a, columns of b) of 32 terms of
// their products. Two by two tiles of results stay in registers. While the tile unit works, 16
// cycles per instruction, the vector units lay out the next strips and write back the previous
// results.
#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "worker/trainer/model/kernels_variants.h"
#include "worker/trainer/model/products.h"

namespace coppice::trainer {
namespace {

constexpr int64_t kWide = 16;               // lines of a tile; floats in a register
constexpr int64_t kPair = 2 * kWide;        // lines of two tiles
constexpr int64_t kStep = 2 * kWide;        // terms of a tile
constexpr int64_t kSteps = 4;               // steps of a block of terms: its strip has 24 KiB
constexpr int64_t kKeptLines = 512;         // lines of a block of lines
constexpr int64_t kTile = 256;              // words of a tile: pairs of terms, or a result
constexpr int64_t kParts = 3;               // parts of a number, the largest first
constexpr int64_t kGroup = kParts * kTile;  // words of a tile's parts, one part after the other
constexpr int64_t kStripStep = 2 * kGroup;  // words of one step of a strip: two tiles
constexpr int64_t kStrip = kSteps * kStripStep;  // words of a strip, step after step
constexpr int64_t kVectors = 4;                  // vectors that are laid out at once
constexpr int64_t kTurns = 6;  // tile products per step of a strip: pairs of parts

inline __mmask16 Mask(int64_t count) {
  return static_cast<__mmask16>((1u << std::clamp<int64_t>(count, 0, kWide)) - 1);
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
    _mm512_store_si512(to + part * kTile, join(l, h));
    low = remains(low, l);
    high = remains(high, h);
  }
  _mm512_store_si512(to + (kParts - 1) * kTile,
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

inline void LayOutDirect(const Source& from, int64_t first, uint32_t* to) {
  const __mmask16 low = Mask(from.low_lanes), high = Mask(from.high_lanes);
#pragma GCC unroll 4
  for (int64_t v = first; v < first + kVectors; ++v) {
    Split(_mm512_maskz_loadu_ps(v < from.low_vectors ? low : 0, from.low + v * from.stride),
          _mm512_maskz_loadu_ps(v < from.high_vectors ? high : 0, from.high + v * from.stride),
          to + v * kWide);
  }
}

// Transposes 16 rows of four floats to four vectors of 16 lanes.
inline void Turn(const float* from, int64_t stride, __m512 out[kVectors]) {
  __m512 r[kVectors];
#pragma GCC unroll 4
  for (int i = 0; i < kVectors; ++i) {
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

inline void TurnWithin(const float* from, int64_t stride, int64_t vectors, int64_t lanes,
                       __m512 out[kVectors]) {
  if (vectors >= kVectors && lanes >= kWide) return Turn(from, stride, out);
  float whole[kWide * kVectors];
  for (int64_t l = 0; l < kWide; ++l) {
    for (int64_t v = 0; v < kVectors; ++v)
      whole[l * kVectors + v] = l < lanes && v < vectors ? from[l * stride + v] : 0;
  }
  Turn(whole, kVectors, out);
}

inline void LayOutTransposed(const Source& from, int64_t first, uint32_t* to) {
  __m512 low[kVectors], high[kVectors];
  TurnWithin(from.low + first, from.stride, from.low_vectors - first, from.low_lanes, low);
  TurnWithin(from.high + first, from.stride, from.high_vectors - first, from.high_lanes, high);
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) Split(low[v], high[v], to + (first + v) * kWide);
}

// Lays out lines of a factor as strips of kPair lines, in small portions: strip after strip, and in
// a strip step after step. A word has two terms that are 16 apart.
class StripWriter {
 public:
  StripWriter() = default;  // with nothing to write
  static StripWriter OfRows(const MatrixView& a, uint32_t* strips) {
    return {a, a.rows, a.columns, true, strips};
  }
  static StripWriter OfColumns(const MatrixView& b, uint32_t* strips) {
    return {b, b.columns, b.rows, false, strips};
  }

  bool done() const { return line_ >= lines_; }
  // The number of Advance calls until done().
  int64_t units() const {
    return (lines_ + kWide - 1) / kWide * ((terms_ + kStep - 1) / kStep) * (kWide / kVectors);
  }

  // Lays out four more vectors, unless it is done.
  void Advance() {
    if (done()) return;
    transposed_ ? LayOutTransposed(source_, vector_, to_) : LayOutDirect(source_, vector_, to_);
    vector_ += kVectors;
    if (vector_ == kWide) Next();
  }
  void Finish() {
    while (!done()) Advance();
  }
  // Advances until the strip that begins with `line` is laid out.
  void FinishStrip(int64_t line) {
    while (!done() && strip_ <= line) Advance();
  }

 private:
  StripWriter(const MatrixView& factor, int64_t lines, int64_t terms, bool rows, uint32_t* strips)
      : factor_(factor), lines_(lines), terms_(terms), rows_(rows), to_(strips) {
    transposed_ = factor.column_stride != 1;
    if (!done()) Aim();
  }

  // Goes to the next tile.
  void Next() {
    vector_ = 0;
    to_ += kGroup;
    line_ += kWide;
    const int64_t end = std::min(strip_ + kPair, lines_);
    if (line_ >= end) {  // to the next step
      if (end - strip_ <= kWide) to_ += kGroup;
      term_ += kStep;
      line_ = strip_;
    }
    if (term_ >= terms_) {  // to the next strip
      to_ += (kSteps - (terms_ + kStep - 1) / kStep) * kStripStep;
      term_ = 0;
      strip_ += kPair;
      line_ = strip_;
    }
    if (!done()) Aim();
  }

  void Aim() {
    const int64_t lines = lines_ - line_, terms = terms_ - term_;
    const int64_t stride = transposed_ ? factor_.column_stride : factor_.row_stride;
    if (rows_) {  // a vector is a row
      const float* at = factor_.data + line_ * factor_.row_stride + term_ * factor_.column_stride;
      source_ = {at,           at + kWide * factor_.column_stride, stride, lines, lines, terms,
                 terms - kWide};
    } else {  // a vector is a term
      const float* at = factor_.data + term_ * factor_.row_stride + line_ * factor_.column_stride;
      source_ = {at, at + kWide * factor_.row_stride, stride, terms, terms - kWide, lines, lines};
    }
  }

  MatrixView factor_;
  int64_t lines_ = 0, terms_ = 0;
  bool rows_ = false, transposed_ = false;
  uint32_t* to_ = nullptr;
  int64_t strip_ = 0, line_ = 0, term_ = 0, vector_ = 0;
  Source source_;
};

// Writes two by two tiles of results to `out`, row after row.
class ResultWriter {
 public:
  ResultWriter() = default;  // with nothing to write
  ResultWriter(const MatrixView& out, bool add, const float* tiles)
      : to_(out.data),
        down_(out.row_stride),
        rows_(out.rows),
        left_(Mask(out.columns)),
        right_(Mask(out.columns - kWide)),
        add_(add),
        tiles_(tiles) {}

  void Advance() {
    if (row_ >= rows_) return;
    const float* from = tiles_ + row_ / kWide * 2 * kTile + row_ % kWide * kWide;
    Put(from, left_, to_);
    Put(from + kTile, right_, to_ + kWide);
    to_ += down_;
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
  int64_t down_ = 0, rows_ = 0, row_ = 0;
  __mmask16 left_ = 0, right_ = 0;
  bool add_ = false;
  const float* tiles_ = nullptr;
};

// The work of the vector units beside the tile unit, a little at each of its turns. First come
// results, then the kept factor, then the next passing strip, spread over all turns before it is
// needed.
class Aside {
 public:
  ResultWriter results;
  StripWriter kept;

  void LayOutNext(const StripWriter& next, int64_t turns) {
    next_ = next;
    units_ = next.units();
    turns_ = turns;
    credit_ = 0;
  }
  void FinishNext() { next_.Finish(); }

  __attribute__((noinline)) void Advance() {
    results.Advance();
    results.Advance();
    credit_ += units_;
    if (!kept.done()) {
      kept.Advance();
    } else if (credit_ >= turns_) {
      credit_ -= turns_;
      next_.Advance();
    }
  }

 private:
  StripWriter next_;
  int64_t units_ = 0, turns_ = 1, credit_ = 0;
};

// Orders memory accesses around tile instructions: the compiler does not know what these read and
// write.
inline void Fence() { asm volatile("" ::: "memory"); }

// The product of two strips as two by two tiles of results. Tiles of absent lines are not written.
// Registers 0 to 3 are results, 4 and 5 parts of a, 6 and 7 parts of b.
template <bool kTwoRows, bool kTwoColumns>
void MultiplyStrips(const uint32_t* a, const uint32_t* b, int64_t steps, float* results,
                    Aside* aside) {
  Fence();
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  const auto load_a = [&](int part) {
    _tile_loadd(4, a + part * kTile, 64);
    if (kTwoRows) _tile_loadd(5, a + kGroup + part * kTile, 64);
  };
  const auto load_b = [&](int part) {
    _tile_loadd(6, b + part * kTile, 64);
    if (kTwoColumns) _tile_loadd(7, b + kGroup + part * kTile, 64);
  };
  const auto multiply = [&] {
    _tile_dpbf16ps(0, 4, 6);
    if (kTwoColumns) _tile_dpbf16ps(1, 4, 7);
    if (kTwoRows) _tile_dpbf16ps(2, 5, 6);
    if (kTwoRows && kTwoColumns) _tile_dpbf16ps(3, 5, 7);
    aside->Advance();
  };
  for (int64_t s = 0; s < steps; ++s, a += kStripStep, b += kStripStep) {
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
  if (kTwoColumns) _tile_stored(1, results + kTile, 64);
  if (kTwoRows) _tile_stored(2, results + 2 * kTile, 64);
  if (kTwoRows && kTwoColumns) _tile_stored(3, results + 3 * kTile, 64);
  Fence();
}

using StripProduct = void (*)(const uint32_t* a, const uint32_t* b, int64_t steps, float* results,
                              Aside* aside);

StripProduct ProductOfStrips(bool two_rows, bool two_columns) {
  if (two_rows) return two_columns ? MultiplyStrips<true, true> : MultiplyStrips<true, false>;
  return two_columns ? MultiplyStrips<false, true> : MultiplyStrips<false, false>;
}

struct Scratch {
  alignas(64) uint32_t kept[kKeptLines / kPair * kStrip];
  alignas(64) uint32_t passing[2][kStrip];
  alignas(64) float results[2][4 * kTile];
};

// out = or += the product of one block of terms. The factor with fewer lines is kept as strips, at
// most kKeptLines of them; the strips of the other factor pass by. `rows_kept`: a is kept.
void MultiplyBlock(const MatrixView& out, const MatrixView& a, const MatrixView& b, bool rows_kept,
                   bool add, Scratch* scratch) {
  const int64_t steps = (a.columns + kStep - 1) / kStep;
  const int64_t kept_lines = rows_kept ? a.rows : b.columns;
  const int64_t passing_lines = rows_kept ? b.columns : a.rows;
  const int64_t turns = (kept_lines + kPair - 1) / kPair * steps * kTurns;  // per passing strip
  const auto passing_at = [&](int64_t line) { return scratch->passing[line / kPair % 2]; };
  const auto passing = [&](int64_t line) {
    if (line >= passing_lines) return StripWriter();
    return rows_kept ? StripWriter::OfColumns(Part(b, 0, b.rows, line, kPair), passing_at(line))
                     : StripWriter::OfRows(Part(a, line, kPair, 0, a.columns), passing_at(line));
  };
  Aside aside;
  aside.kept =
      rows_kept ? StripWriter::OfRows(a, scratch->kept) : StripWriter::OfColumns(b, scratch->kept);
  passing(0).Finish();
  float *results = scratch->results[0], *other_results = scratch->results[1];
  for (int64_t p = 0; p < passing_lines; p += kPair) {
    aside.LayOutNext(passing(p + kPair), turns);
    for (int64_t k = 0; k < kept_lines; k += kPair) {
      aside.kept.FinishStrip(k);
      const MatrixView to =
          rows_kept ? Part(out, k, kPair, p, kPair) : Part(out, p, kPair, k, kPair);
      const uint32_t *left = scratch->kept + k / kPair * kStrip, *right = passing_at(p);
      if (!rows_kept) std::swap(left, right);
      const StripProduct multiply = ProductOfStrips(to.rows > kWide, to.columns > kWide);
      multiply(left, right, steps, results, &aside);
      aside.results.Finish();
      aside.results = ResultWriter(to, add, results);
      std::swap(results, other_results);
    }
    aside.FinishNext();
  }
  aside.results.Finish();
}

// The operand of the instruction that sets the rows and row bytes of each tile.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Each block of terms is added to the sum of the blocks before it, so that zeros after the last
// term change nothing.
void Multiply(const MatrixView& out, const MatrixView& a, const MatrixView& b, bool add) {
  static thread_local const auto scratch = std::make_unique<Scratch>();
  const TileConfig config;
  _tile_loadconfig(&config);
  const bool rows_kept = out.rows <= out.columns;
  for (int64_t term = 0; term < a.columns; term += kSteps * kStep) {
    const MatrixView left = Part(a, 0, a.rows, term, kSteps * kStep);
    const MatrixView right = Part(b, term, kSteps * kStep, 0, b.columns);
    const bool more = add || term > 0;
    if (rows_kept) {
      for (int64_t row = 0; row < out.rows; row += kKeptLines) {
        MultiplyBlock(Part(out, row, kKeptLines, 0, out.columns),
                      Part(left, row, kKeptLines, 0, left.columns), right, true, more,
                      scratch.get());
      }
    } else {
      for (int64_t column = 0; column < out.columns; column += kKeptLines) {
        MultiplyBlock(Part(out, 0, out.rows, column, kKeptLines), left,
                      Part(right, 0, right.rows, column, kKeptLines), false, more, scratch.get());
      }
    }
  }
  _tile_release();
}

}  // namespace

const ProductKernel kAmxProduct = Multiply;

}  // namespace coppice::trainer

// Building blocks of the kernels. Only kernels_*.cc include this, once per instruction set.
// Everything is in an unnamed namespace: the linker must never pick an inline function that was
// compiled for a wider set for use in a narrower one. For that reason nothing here calls a function
// template of the standard library.
#ifndef COPPICE_WORKER_TRAINER_MODEL_KERNELS_VECTOR_H_
#define COPPICE_WORKER_TRAINER_MODEL_KERNELS_VECTOR_H_

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include <cmath>
#include <cstdint>
#include <cstring>

#include "worker/trainer/model/kernels.h"

namespace coppice::trainer {
namespace {

constexpr int kLanes = 16;

// Salmon et al. 2011, table 2.
constexpr uint32_t kPhiloxMultiplier0 = 0xD2511F53, kPhiloxMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kPhiloxWeyl0 = 0x9E3779B9, kPhiloxWeyl1 = 0xBB67AE85;

// Sixteen lanes, whatever the size of the machine's registers, so that lane l of every sum is the
// same on every machine.
template <typename T>
struct VectorOf {
  typedef T type __attribute__((vector_size(kLanes * sizeof(T))));
  typedef T unaligned
      __attribute__((vector_size(kLanes * sizeof(T)), aligned(alignof(T)), may_alias));
};

template <typename T>
using Vector = typename VectorOf<T>::type;

template <typename T>
inline Vector<T> Load(const T* from) {
  return *reinterpret_cast<const typename VectorOf<T>::unaligned*>(from);
}

template <typename T>
inline void Store(T* to, Vector<T> value) {
  *reinterpret_cast<typename VectorOf<T>::unaligned*>(to) = value;
}

// Integers as wide as T, one per lane: the type of a comparison's result.
template <typename T>
struct MaskOf;
template <>
struct MaskOf<float> {
  typedef int32_t type __attribute__((vector_size(kLanes * sizeof(int32_t))));
};
template <>
struct MaskOf<double> {
  typedef int64_t type __attribute__((vector_size(kLanes * sizeof(int64_t))));
};
template <typename T>
using Mask = typename MaskOf<T>::type;

// The lanes whose number is less than n.
template <typename T>
inline Mask<T> LanesBelow(int64_t n) {
  const Mask<T> numbers = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  using Number = decltype(+numbers[0]);
  return numbers < (Mask<T>{} + static_cast<Number>(n));
}

// Lane l of the result is lane l + by of v, modulo the lanes.
template <int by, typename V>
inline V Rotate(V v) {
  return __builtin_shufflevector(v, v, by, by + 1, by + 2, by + 3, by + 4, by + 5, by + 6, by + 7,
                                 by + 8, by + 9, by + 10, by + 11, by + 12, by + 13, by + 14,
                                 by + 15);
}

template <typename T>
inline T AddLanes(Vector<T> v) {
  v += Rotate<8>(v);
  v += Rotate<4>(v);
  v += Rotate<2>(v);
  v += Rotate<1>(v);
  return v[0];
}

template <typename V>
inline V Larger(V a, V b) {
  return b > a ? b : a;
}

template <typename T>
inline T LargestLane(Vector<T> v) {
  v = Larger(v, Rotate<8>(v));
  v = Larger(v, Rotate<4>(v));
  v = Larger(v, Rotate<2>(v));
  v = Larger(v, Rotate<1>(v));
  return v[0];
}

template <typename T>
inline T SumOf(const T* x, int64_t n) {
  Vector<T> sum = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) sum += Load(x + i);
  T total = AddLanes<T>(sum);
  for (; i < n; ++i) total += x[i];
  return total;
}

template <typename T>
inline T DotOf(const T* x, const T* y, int64_t n) {
  Vector<T> sum = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) sum += Load(x + i) * Load(y + i);
  T total = AddLanes<T>(sum);
  for (; i < n; ++i) total += x[i] * y[i];
  return total;
}

// out[i * out_stride + c] = sum over r of weights[i * row_stride + r * column_stride] * rows[r *
// stride + c], for kOut rows i at once, whose sums do not wait for each other.
template <int kOut, typename T>
inline void WeightedSumsOf(T* out, int64_t out_stride, int64_t width, const T* weights,
                           int64_t row_stride, int64_t column_stride, int64_t count, const T* rows,
                           int64_t stride) {
  int64_t c = 0;
  for (; c + kLanes <= width; c += kLanes) {
    Vector<T> sums[kOut] = {};
    for (int64_t r = 0; r < count; ++r) {
      const Vector<T> row = Load(rows + r * stride + c);
      for (int i = 0; i < kOut; ++i) sums[i] += weights[i * row_stride + r * column_stride] * row;
    }
    for (int i = 0; i < kOut; ++i) Store(out + i * out_stride + c, sums[i]);
  }
  for (; c < width; ++c) {
    for (int i = 0; i < kOut; ++i) {
      T sum = 0;
      for (int64_t r = 0; r < count; ++r) {
        sum += weights[i * row_stride + r * column_stride] * rows[r * stride + c];
      }
      out[i * out_stride + c] = sum;
    }
  }
}

// The same for n rows, 1 <= n <= kAtOnce. Every product of attention has this form, with the short
// dimension in registers.
constexpr int64_t kAtOnce = 4;
template <typename T>
inline void WeightedSums(int64_t n, T* out, int64_t out_stride, int64_t width, const T* weights,
                         int64_t row_stride, int64_t column_stride, int64_t count, const T* rows,
                         int64_t stride) {
  const auto sums = n == 1   ? WeightedSumsOf<1, T>
                    : n == 2 ? WeightedSumsOf<2, T>
                    : n == 3 ? WeightedSumsOf<3, T>
                             : WeightedSumsOf<kAtOnce, T>;
  sums(out, out_stride, width, weights, row_stride, column_stride, count, rows, stride);
}

// e^x for x <= 0 in each lane, to about one ulp: x = n ln 2 + r, |r| <= ln 2 / 2, Taylor to r^7.
// NaN stays NaN. The C library's version differs between machines.
inline Vector<float> ExpOf(Vector<float> x) {
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const Vector<float> lowest = Vector<float>{} - 87.0f;
  const Vector<float> clamped = x < lowest ? lowest : x;
  const Vector<float> shifted = clamped * 1.44269504f + kRound;
  const Vector<float> n = shifted - kRound;
  const Vector<float> r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts
  Vector<float> p = r * (1.0f / 5040) + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  // n + 127 becomes the exponent; the other bits are shifted out.
  const Mask<float> power = (reinterpret_cast<Mask<float>>(shifted) - 0x4B400000 + 127) << 23;
  return p * reinterpret_cast<Vector<float>>(power);
}
inline Vector<double> ExpOf(Vector<double> x) {
  for (int l = 0; l < kLanes; ++l) x[l] = __builtin_exp(x[l]);
  return x;
}

inline int64_t RoundUpToLanes(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

// keep[e] = 1 where element 64 * group + e of the mask row is kept. These are the bits of
// DropoutBits, 64 elements at a time.
#if defined(__AVX512BW__)
// Each word has a 64-bit lane of its own, because the multiplication reads only low halves. The
// high halves fill with values that are never read.
inline void KeepGroup(const Dropout& dropout, uint32_t site, uint32_t row, int64_t group,
                      uint8_t* keep) {
  const __m512i multiplier0 = _mm512_set1_epi64(kPhiloxMultiplier0);
  const __m512i multiplier1 = _mm512_set1_epi64(kPhiloxMultiplier1);
  __m512i c[4] = {
      _mm512_add_epi64(_mm512_set1_epi64(group * 8), _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0)),
      _mm512_set1_epi64(row), _mm512_set1_epi64(dropout.step), _mm512_set1_epi64(site)};
  __m512i key0 = _mm512_set1_epi64(dropout.key.low), key1 = _mm512_set1_epi64(dropout.key.high);
  for (int round = 0; round < 10; ++round) {
    const __m512i product0 = _mm512_mul_epu32(c[0], multiplier0);
    const __m512i product1 = _mm512_mul_epu32(c[2], multiplier1);
    c[0] = _mm512_xor_si512(_mm512_srli_epi64(product1, 32), _mm512_xor_si512(c[1], key0));
    c[2] = _mm512_xor_si512(_mm512_srli_epi64(product0, 32), _mm512_xor_si512(c[3], key1));
    c[1] = product1;
    c[3] = product0;
    key0 = _mm512_add_epi32(key0, _mm512_set1_epi64(kPhiloxWeyl0));
    key1 = _mm512_add_epi32(key1, _mm512_set1_epi64(kPhiloxWeyl1));
  }
  // For each word: the low numbers of blocks 0 to 7, then the high ones. A register takes two
  // words.
  const __m512i order =
      _mm512_set_epi16(15 * 2 + 1, 14 * 2 + 1, 13 * 2 + 1, 12 * 2 + 1, 11 * 2 + 1, 10 * 2 + 1,
                       9 * 2 + 1, 8 * 2 + 1, 15 * 2, 14 * 2, 13 * 2, 12 * 2, 11 * 2, 10 * 2, 9 * 2,
                       8 * 2, 7 * 2 + 1, 6 * 2 + 1, 5 * 2 + 1, 4 * 2 + 1, 3 * 2 + 1, 2 * 2 + 1,
                       1 * 2 + 1, 1, 7 * 2, 6 * 2, 5 * 2, 4 * 2, 3 * 2, 2 * 2, 1 * 2, 0);
  const __m512i threshold = _mm512_set1_epi16(static_cast<int16_t>(dropout.threshold));
  uint64_t kept = 0;
  for (int w = 0; w < 4; w += 2) {
    const __m512i words = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi64_epi32(c[w])),
                                             _mm512_cvtepi64_epi32(c[w + 1]), 1);
    const __m512i numbers = _mm512_permutexvar_epi16(order, words);
    kept |= static_cast<uint64_t>(_mm512_cmpge_epu16_mask(numbers, threshold)) << (16 * w);
  }
  _mm512_storeu_si512(keep, _mm512_maskz_set1_epi8(kept, 1));
}
#elif defined(__AVX2__)
// 0xffff for each 16-bit number of a word of the eight blocks that is at least the threshold: first
// the low numbers of blocks 0 to 7, then the high ones. `first` and `second` hold the word of
// blocks 0 to 3 and 4 to 7 in 64-bit lanes.
inline __m256i KeptNumbers(__m256i first, __m256i second, __m256i threshold) {
  const __m256i low_halves = _mm256_set_epi32(6, 4, 2, 0, 6, 4, 2, 0);
  const __m256i word = _mm256_blend_epi32(_mm256_permutevar8x32_epi32(first, low_halves),
                                          _mm256_permutevar8x32_epi32(second, low_halves), 0xf0);
  const __m256i low = _mm256_and_si256(word, _mm256_set1_epi32(0xffff));
  const __m256i high = _mm256_srli_epi32(word, 16);
  const __m256i numbers = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, high), 0xd8);
  return _mm256_cmpeq_epi16(_mm256_max_epu16(numbers, threshold), numbers);
}

inline void KeepGroup(const Dropout& dropout, uint32_t site, uint32_t row, int64_t group,
                      uint8_t* keep) {
  // Each word has a 64-bit lane of its own, because the multiplication reads only low halves. The
  // high halves fill with values that are never read. Two vectors of four blocks run side by side
  // to hide the multiplication's latency.
  const __m256i multiplier0 = _mm256_set1_epi64x(kPhiloxMultiplier0);
  const __m256i multiplier1 = _mm256_set1_epi64x(kPhiloxMultiplier1);
  __m256i c[4][2];
  for (int half = 0; half < 2; ++half) {
    c[0][half] =
        _mm256_add_epi64(_mm256_set1_epi64x(group * 8 + half * 4), _mm256_set_epi64x(3, 2, 1, 0));
    c[1][half] = _mm256_set1_epi64x(row);
    c[2][half] = _mm256_set1_epi64x(dropout.step);
    c[3][half] = _mm256_set1_epi64x(site);
  }
  uint32_t key0 = dropout.key.low, key1 = dropout.key.high;
  for (int round = 0; round < 10; ++round) {
    const __m256i round_key0 = _mm256_set1_epi64x(key0);
    const __m256i round_key1 = _mm256_set1_epi64x(key1);
    for (int half = 0; half < 2; ++half) {
      const __m256i product0 = _mm256_mul_epu32(c[0][half], multiplier0);
      const __m256i product1 = _mm256_mul_epu32(c[2][half], multiplier1);
      c[0][half] = _mm256_xor_si256(_mm256_srli_epi64(product1, 32),
                                    _mm256_xor_si256(c[1][half], round_key0));
      c[2][half] = _mm256_xor_si256(_mm256_srli_epi64(product0, 32),
                                    _mm256_xor_si256(c[3][half], round_key1));
      c[1][half] = product1;
      c[3][half] = product0;
    }
    key0 += kPhiloxWeyl0;
    key1 += kPhiloxWeyl1;
  }
  const __m256i threshold = _mm256_set1_epi16(static_cast<int16_t>(dropout.threshold));
  for (int w = 0; w < 4; w += 2) {
    const __m256i bytes = _mm256_packs_epi16(KeptNumbers(c[w][0], c[w][1], threshold),
                                             KeptNumbers(c[w + 1][0], c[w + 1][1], threshold));
    const __m256i ones =
        _mm256_and_si256(_mm256_permute4x64_epi64(bytes, 0xd8), _mm256_set1_epi8(1));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(keep + w * 16), ones);
  }
}
#else
inline void KeepGroup(const Dropout& dropout, uint32_t site, uint32_t row, int64_t group,
                      uint8_t* keep) {
  uint32_t c[4][8];
  for (int j = 0; j < 8; ++j) {
    c[0][j] = static_cast<uint32_t>(group * 8 + j);
    c[1][j] = row;
    c[2][j] = dropout.step;
    c[3][j] = site;
  }
  uint32_t key0 = dropout.key.low, key1 = dropout.key.high;
  for (int round = 0; round < 10; ++round) {
    for (int j = 0; j < 8; ++j) {
      const uint64_t product0 = static_cast<uint64_t>(kPhiloxMultiplier0) * c[0][j];
      const uint64_t product1 = static_cast<uint64_t>(kPhiloxMultiplier1) * c[2][j];
      c[0][j] = static_cast<uint32_t>(product1 >> 32) ^ c[1][j] ^ key0;
      c[1][j] = static_cast<uint32_t>(product1);
      c[2][j] = static_cast<uint32_t>(product0 >> 32) ^ c[3][j] ^ key1;
      c[3][j] = static_cast<uint32_t>(product0);
    }
    key0 += kPhiloxWeyl0;
    key1 += kPhiloxWeyl1;
  }
  for (int w = 0; w < 4; ++w) {
    for (int j = 0; j < 8; ++j) {
      keep[w * 16 + j] = (c[w][j] & 0xffff) >= dropout.threshold ? 1 : 0;
      keep[w * 16 + 8 + j] = (c[w][j] >> 16) >= dropout.threshold ? 1 : 0;
    }
  }
}
#endif

// x[e] = keep[e] ? x[e] * scale : 0
template <typename T>
inline void ApplyKeep(const uint8_t* keep, T scale, int64_t n, T* x) {
  for (int64_t e = 0; e < n; ++e) x[e] = keep[e] ? x[e] * scale : T(0);
}

inline float SqrtOf(float x) { return __builtin_sqrtf(x); }
inline double SqrtOf(double x) { return __builtin_sqrt(x); }

inline int64_t Smaller(int64_t a, int64_t b) { return a < b ? a : b; }

}  // namespace
}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_KERNELS_VECTOR_H_

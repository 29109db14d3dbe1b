// Building blocks of the kernels. Included by kernels_*.cc alone, once per instruction set;
// everything is in an unnamed namespace, because the same inline function compiled for a wider set
// must never be picked by the linker for a narrower one. For that reason nothing here calls a
// function template of the standard library.
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

constexpr int kLanes = 8;

// Salmon et al. 2011, table 2.
constexpr uint32_t kPhiloxMultiplier0 = 0xD2511F53, kPhiloxMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kPhiloxWeyl0 = 0x9E3779B9, kPhiloxWeyl1 = 0xBB67AE85;

// Eight lanes, whatever the machine's registers hold: lane l of every sum is the same sum
// everywhere.
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

template <typename T>
inline T AddLanes(Vector<T> v) {
  return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
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

// out[c] = sum over r of weights[r * weight_stride] * rows[r * stride + c]. Every product of the
// attention has this form, with the short dimension in registers.
template <typename T>
inline void WeightedSum(T* out, int64_t width, const T* weights, int64_t weight_stride,
                        int64_t count, const T* rows, int64_t stride) {
  int64_t c = 0;
  for (; c + 2 * kLanes <= width; c += 2 * kLanes) {
    Vector<T> low = {};
    Vector<T> high = {};
    for (int64_t r = 0; r < count; ++r) {
      const T weight = weights[r * weight_stride];
      low += weight * Load(rows + r * stride + c);
      high += weight * Load(rows + r * stride + c + kLanes);
    }
    Store(out + c, low);
    Store(out + c + kLanes, high);
  }
  for (; c + kLanes <= width; c += kLanes) {
    Vector<T> sum = {};
    for (int64_t r = 0; r < count; ++r)
      sum += weights[r * weight_stride] * Load(rows + r * stride + c);
    Store(out + c, sum);
  }
  for (; c < width; ++c) {
    T sum = 0;
    for (int64_t r = 0; r < count; ++r) sum += weights[r * weight_stride] * rows[r * stride + c];
    out[c] = sum;
  }
}

// e^x for x <= 0, about one ulp: x = n ln 2 + r, |r| <= ln 2 / 2, Taylor to r^7. NaN stays NaN.
// Written out because the C library's version differs between machines.
inline float ExpOf(float x) {
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const float clamped = x < -87.0f ? -87.0f : x;
  const float shifted = clamped * 1.44269504f + kRound;
  const float n = shifted - kRound;
  const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts
  float p = 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  uint32_t bits;
  std::memcpy(&bits, &shifted, sizeof(bits));
  const uint32_t exponent = (bits - 0x4B400000u + 127u) << 23;
  float power;
  std::memcpy(&power, &exponent, sizeof(power));
  return p * power;
}
inline double ExpOf(double x) { return __builtin_exp(x); }

// keep[e] = 1 where element 64 * group + e of the mask row stays: DropoutBits, 64 elements at a
// time.
#ifdef __AVX2__
// 0xffff for each 16-bit number of the eight blocks' word that is at least the threshold: first the
// low numbers of blocks 0 to 7, then the high ones. `first` and `second` hold the word of blocks 0
// to 3 and 4 to 7 in 64-bit lanes.
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
  // Each word lies in a 64-bit lane, because the multiplication reads only the low halves; what
  // gathers in the high halves is never read. Two vectors of four blocks go side by side to hide
  // its latency.
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

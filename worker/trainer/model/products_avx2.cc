// See products_vector.h. A tile is 6 x 16 results: the sixteen registers have just enough room for
// twelve sums, two vectors of the panel and a factor.
#include <immintrin.h>

#include "worker/trainer/model/kernels_variants.h"
#include "worker/trainer/model/products_vector.h"

namespace coppice::trainer {
namespace {

struct Avx2 {
  using Floats = __m256;
  // Some CPUs take twenty times as long for masked stores.
  struct Mask {
    __m256i lanes;
    bool whole;
  };
  static constexpr int kWide = 8;
  static constexpr int kTileVectors = 2;

  static Mask First(int64_t count) {
    const __m256i numbers = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return {_mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), numbers),
            count == kWide};
  }
  static Floats Zero() { return _mm256_setzero_ps(); }
  static Floats All(float value) { return _mm256_set1_ps(value); }
  static Floats Load(const float* from) { return _mm256_load_ps(from); }
  static Floats LoadSome(Mask mask, const float* from) {
    return mask.whole ? _mm256_loadu_ps(from) : _mm256_maskload_ps(from, mask.lanes);
  }
  static void Store(float* to, Floats value) { _mm256_store_ps(to, value); }
  static void StoreSome(float* to, Mask mask, Floats value) {
    if (mask.whole) {
      _mm256_storeu_ps(to, value);
    } else {
      _mm256_maskstore_ps(to, mask.lanes, value);
    }
  }
  static Floats Add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  static Floats MultiplyAdd(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }

  // out[c * out_stride + r] = in[r * in_stride + c] for 8 x 8 elements: two rounds of exchanges
  // within halves of registers, and one between the halves.
  static void Transpose(const float* in, int64_t in_stride, float* out, int64_t out_stride) {
    __m256 r[8], t[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) r[i] = _mm256_loadu_ps(in + i * in_stride);
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
      t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
      t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
      r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
      r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
      r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
      r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      _mm256_store_ps(out + i * out_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
      _mm256_store_ps(out + (i + 4) * out_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
    }
  }
};

}  // namespace

const ProductKernel kAvx2Product = Multiply<Avx2>;

}  // namespace coppice::trainer

// See products_vector.h. A tile is 6 x 64 results: 24 sums hide the latency of the multiply-add,
// and a step of four loads and six broadcasts feeds them all. A panel takes 32 KiB.
#include <immintrin.h>

#include "worker/trainer/model/kernels_variants.h"
#include "worker/trainer/model/products_vector.h"

namespace coppice::trainer {
namespace {

struct Avx512 {
  using Floats = __m512;
  using Mask = __mmask16;
  static constexpr int kWide = 16;
  static constexpr int kTileVectors = 4;

  static Mask First(int64_t count) { return static_cast<Mask>((1u << count) - 1); }
  static Floats Zero() { return _mm512_setzero_ps(); }
  static Floats All(float value) { return _mm512_set1_ps(value); }
  static Floats Load(const float* from) { return _mm512_load_ps(from); }
  static Floats LoadSome(Mask mask, const float* from) { return _mm512_maskz_loadu_ps(mask, from); }
  static void Store(float* to, Floats value) { _mm512_store_ps(to, value); }
  static void StoreSome(float* to, Mask mask, Floats value) {
    _mm512_mask_storeu_ps(to, mask, value);
  }
  static Floats Add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats MultiplyAdd(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }

  // out[c * out_stride + r] = in[r * in_stride + c] for 16 x 16 elements: two rounds of exchanges
  // within quarters of registers, and two between the quarters.
  static void Transpose(const float* in, int64_t in_stride, float* out, int64_t out_stride) {
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
};

}  // namespace

const ProductKernel kAvx512Product = Multiply<Avx512>;

}  // namespace coppice::trainer

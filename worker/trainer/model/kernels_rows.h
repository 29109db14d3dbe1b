// Kernels that treat each row by itself: embedding, residual + LayerNorm, ReLU, cross-entropy,
// optimizer. See kernels_vector.h.
#ifndef COPPICE_WORKER_TRAINER_MODEL_KERNELS_ROWS_H_
#define COPPICE_WORKER_TRAINER_MODEL_KERNELS_ROWS_H_

#include "worker/trainer/model/kernels_vector.h"

namespace coppice::trainer {
namespace {

constexpr double kNormEpsilon = 1e-5;

template <typename T>
inline void Zero(T* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] = 0;
}

template <typename T>
void Embed(const Rows& rows, const Dropout& dropout, const int32_t* tokens, const T* table,
           const T* positions, int64_t d, T* x, uint8_t* keep) {
  const T factor = static_cast<T>(std::sqrt(static_cast<double>(d)));
  const T scale = static_cast<T>(dropout.scale);
  const uint32_t site = SiteNumber(DropoutSite::kEmbedding, 0);
  for (int64_t b = 0; b < rows.sequence_count; ++b) {
    for (int64_t t = 0; t < rows.sequences[b].length; ++t) {
      const int64_t row = rows.sequences[b].first_row + t;
      const T* from = table + tokens[row] * d;
      const T* position = positions + (rows.sequences[b].first_position + t) * d;
      T* out = x + row * d;
      for (int64_t i = 0; i < d; ++i) out[i] = from[i] * factor + position[i];
      if (!dropout.active()) continue;
      uint8_t* keep_row = keep + row * KeepStride(d);
      for (int64_t g = 0; g * 64 < d; ++g)
        KeepGroup(dropout, site, MaskRow(b, 0, t), g, keep_row + g * 64);
      ApplyKeep(keep_row, scale, d, out);
    }
  }
}

template <typename T>
void EmbedGrad(const Rows& rows, const Dropout& dropout, const int32_t* tokens, const T* dx,
               const uint8_t* keep, int64_t d, int64_t vocabulary, T* dtable) {
  Zero(dtable, vocabulary * d);
  const T factor = static_cast<T>(std::sqrt(static_cast<double>(d)) * dropout.scale);
  for (int64_t row = 0; row < rows.rows; ++row) {
    const T* from = dx + row * d;
    T* out = dtable + tokens[row] * d;
    if (dropout.active()) {
      const uint8_t* keep_row = keep + row * KeepStride(d);
      for (int64_t i = 0; i < d; ++i) out[i] += keep_row[i] ? from[i] * factor : T(0);
    } else {
      for (int64_t i = 0; i < d; ++i) out[i] += from[i] * factor;
    }
  }
}

// out = LN(out) with the row's mean and variance. Returns 1 / sqrt(var + eps).
template <typename T>
inline T NormalizeRow(T* out, int64_t d) {
  const T mean = SumOf(out, d) / static_cast<T>(d);
  for (int64_t i = 0; i < d; ++i) out[i] -= mean;
  const T variance = DotOf(out, out, d) / static_cast<T>(d);
  const T rstd = T(1) / SqrtOf(variance + static_cast<T>(kNormEpsilon));
  for (int64_t i = 0; i < d; ++i) out[i] *= rstd;
  return rstd;
}

template <typename T>
void ResidualNorm(const Rows& rows, const Dropout& dropout, uint32_t site,
                  const ResidualNormArgs<T>& args) {
  const int64_t d = args.d;
  const T scale = static_cast<T>(dropout.scale);
  const T* __restrict bias = args.bias;
  const T* __restrict gamma = args.gamma;
  const T* __restrict beta = args.beta;
  for (int64_t b = 0; b < rows.sequence_count; ++b) {
    for (int64_t t = 0; t < rows.sequences[b].length; ++t) {
      const int64_t row = rows.sequences[b].first_row + t;
      const T* __restrict x = args.x + row * d;
      const T* __restrict a = args.a + row * d;
      T* y = args.y + row * d;
      T* z = args.xhat != nullptr ? args.xhat + row * d : y;
      if (bias != nullptr) {
        for (int64_t i = 0; i < d; ++i) z[i] = a[i] + bias[i];
      } else {
        for (int64_t i = 0; i < d; ++i) z[i] = a[i];
      }
      if (dropout.active()) {
        uint8_t* keep = args.keep + row * KeepStride(d);
        for (int64_t g = 0; g * 64 < d; ++g)
          KeepGroup(dropout, site, MaskRow(b, 0, t), g, keep + g * 64);
        ApplyKeep(keep, scale, d, z);
      }
      for (int64_t i = 0; i < d; ++i) z[i] += x[i];
      const T rstd = NormalizeRow(z, d);
      if (args.rstd != nullptr) args.rstd[row] = rstd;
      for (int64_t i = 0; i < d; ++i) y[i] = z[i] * gamma[i] + beta[i];
    }
  }
}

template <typename T>
void ResidualNormGrad(const Rows& rows, const Dropout& dropout,
                      const ResidualNormGradArgs<T>& args) {
  const int64_t d = args.d;
  const T scale = static_cast<T>(dropout.scale);
  const T inverse = T(1) / static_cast<T>(d);
  const T* __restrict gamma = args.gamma;
  T* __restrict dgamma = args.dgamma;
  T* __restrict dbeta = args.dbeta;
  T* __restrict dbias = args.dbias;
  Zero(dgamma, d);
  Zero(dbeta, d);
  if (dbias != nullptr) Zero(dbias, d);
  for (int64_t row = 0; row < rows.rows; ++row) {
    T* __restrict dy = args.dy + row * d;
    T* __restrict da = args.da + row * d;
    const T* __restrict xhat = args.xhat + row * d;
    for (int64_t i = 0; i < d; ++i) {
      dgamma[i] += dy[i] * xhat[i];
      dbeta[i] += dy[i];
      da[i] = dy[i] * gamma[i];
    }
    const T mean = SumOf<T>(da, d) * inverse;
    const T projection = DotOf<T>(da, xhat, d) * inverse;
    const T rstd = args.rstd[row];
    for (int64_t i = 0; i < d; ++i) dy[i] = rstd * (da[i] - mean - xhat[i] * projection);
    if (dropout.active()) {
      const uint8_t* __restrict keep = args.keep + row * KeepStride(d);
      for (int64_t i = 0; i < d; ++i) da[i] = keep[i] ? dy[i] * scale : T(0);
    } else {
      for (int64_t i = 0; i < d; ++i) da[i] = dy[i];
    }
    if (dbias != nullptr) {
      for (int64_t i = 0; i < d; ++i) dbias[i] += da[i];
    }
  }
}

template <typename T>
void Relu(const Rows& rows, const Dropout& dropout, uint32_t site, int64_t f, const T* bias, T* h) {
  const T scale = static_cast<T>(dropout.scale);
  uint8_t keep[64];
  for (int64_t b = 0; b < rows.sequence_count; ++b) {
    for (int64_t t = 0; t < rows.sequences[b].length; ++t) {
      T* row = h + (rows.sequences[b].first_row + t) * f;
      for (int64_t i = 0; i < f; ++i) {
        const T value = row[i] + bias[i];
        row[i] = value <= 0 ? T(0) : value;  // this form keeps NaN
      }
      if (!dropout.active()) continue;
      for (int64_t g = 0; g * 64 < f; ++g) {
        KeepGroup(dropout, site, MaskRow(b, 0, t), g, keep);
        ApplyKeep(keep, scale, Smaller(64, f - g * 64), row + g * 64);
      }
    }
  }
}

// h is zero exactly where the activation or the dropout zeroed it, so no mask is stored.
template <typename T>
void ReluGrad(const Rows& rows, const Dropout& dropout, int64_t f, const T* h, T* dh, T* dbias) {
  const T scale = static_cast<T>(dropout.scale);
  Zero(dbias, f);
  for (int64_t row = 0; row < rows.rows; ++row) {
    const T* __restrict value = h + row * f;
    T* __restrict grad = dh + row * f;
    T* __restrict sum = dbias;
    for (int64_t i = 0; i < f; ++i) {
      grad[i] = value[i] > 0 ? grad[i] * scale : T(0);
      sum[i] += grad[i];
    }
  }
}

// x[i] = e^(x[i] - largest) for fewer than kLanes elements.
template <typename T>
inline void ExpOfFew(T* x, int64_t n, T largest) {
  Vector<T> lanes = Vector<T>{} + largest;
  __builtin_memcpy(&lanes, x, static_cast<size_t>(n) * sizeof(T));
  lanes = ExpOf(lanes - largest);
  __builtin_memcpy(x, &lanes, static_cast<size_t>(n) * sizeof(T));
}

template <typename T>
double CrossEntropy(int64_t rows, int64_t vocabulary, const T* bias, const int32_t* targets,
                    T* logits, bool gradient, T* dbias) {
  if (gradient) Zero(dbias, vocabulary);
  const T inverse_rows = T(1) / static_cast<T>(rows);
  double loss = 0;
  for (int64_t r = 0; r < rows; ++r) {
    T* row = logits + r * vocabulary;
    for (int64_t i = 0; i < vocabulary; ++i) row[i] += bias[i];
    const int64_t whole = vocabulary / kLanes * kLanes;
    T largest = row[0];
    for (int64_t i = 1; i < vocabulary; ++i) largest = row[i] > largest ? row[i] : largest;
    const T target = row[targets[r]] - largest;
    for (int64_t i = 0; i < whole; i += kLanes) Store(row + i, ExpOf(Load(row + i) - largest));
    if (whole < vocabulary) ExpOfFew(row + whole, vocabulary - whole, largest);
    const T sum = SumOf(row, vocabulary);
    loss += std::log(static_cast<double>(sum)) - static_cast<double>(target);
    if (!gradient) continue;
    const T factor = inverse_rows / sum;
    for (int64_t i = 0; i < vocabulary; ++i) row[i] *= factor;
    row[targets[r]] -= inverse_rows;
    for (int64_t i = 0; i < vocabulary; ++i) dbias[i] += row[i];
  }
  return loss;
}

// The number of elements by which passes over whole buffers prefetch ahead. The buffers lie in the
// third-level cache or beyond, and the processor's own prefetching stops at each page.
constexpr int64_t kAhead = 512;

template <typename T>
double SquareSum(int64_t count, const T* x) {
  double lanes[16] = {};
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    __builtin_prefetch(x + i + kAhead);
    for (int l = 0; l < 16; ++l)
      lanes[l] += static_cast<double>(x[i + l]) * static_cast<double>(x[i + l]);
  }
  double total = 0;
  for (int l = 0; l < 16; ++l) total += lanes[l];
  for (; i < count; ++i) total += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return total;
}

template <typename T>
void AdamW(const AdamWArgs& args, int64_t count, const T* __restrict gradient, T* __restrict m,
           T* __restrict v, T* __restrict parameters) {
  const double correction1 = 1 - std::pow(args.beta1, static_cast<double>(args.step));
  const double correction2 = 1 - std::pow(args.beta2, static_cast<double>(args.step));
  const T clip = static_cast<T>(args.clip);
  const T beta1 = static_cast<T>(args.beta1), rest1 = static_cast<T>(1 - args.beta1);
  const T beta2 = static_cast<T>(args.beta2), rest2 = static_cast<T>(1 - args.beta2);
  const T rate = static_cast<T>(args.learning_rate / correction1);
  const T root2 = static_cast<T>(1 / std::sqrt(correction2));
  const T epsilon = static_cast<T>(args.epsilon);
  const T decay = static_cast<T>(1 - args.learning_rate * args.weight_decay);
  const auto update = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T g = gradient[i] * clip;
      const T mean = beta1 * m[i] + rest1 * g;
      const T square = beta2 * v[i] + rest2 * (g * g);
      m[i] = mean;
      v[i] = square;
      parameters[i] = parameters[i] * decay - rate * mean / (SqrtOf(square) * root2 + epsilon);
    }
  };
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    __builtin_prefetch(gradient + i + kAhead);
    __builtin_prefetch(m + i + kAhead, 1);
    __builtin_prefetch(v + i + kAhead, 1);
    __builtin_prefetch(parameters + i + kAhead, 1);
    update(i, i + kLanes);
  }
  update(i, count);
}

}  // namespace
}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_KERNELS_ROWS_H_

#include <algorithm>
#include <cstring>

#include "worker/trainer/model/kernels.h"
#include "worker/trainer/model/model_ops.h"
#include "worker/trainer/model/weights.h"

namespace coppice::trainer {

namespace {

template <typename T>
class CpuOps : public ModelOps {
 public:
  void Upload(int64_t, PackBatch*) override {}  // operations read batches in place

  void Embed(const PackBatch& batch, const at::Tensor& table, const at::Tensor& positions,
             const at::Tensor& x, const at::Tensor& keep) override {
    const int64_t d = x.size(-1);
    ForEach(batch, [&](int64_t k, const Rows& rows) {
      kernels_.embed(rows, batch.dropout[k], batch.members[k]->tokens.data(), At(table, k),
                     positions.data_ptr<T>(), d, At(x, k), Bytes(keep, k));
      ZeroTail(x, k, rows);
    });
  }

  void EmbedGrad(const PackBatch& batch, const at::Tensor& dx, const at::Tensor& keep,
                 const at::Tensor& dtable) override {
    ForEach(batch, [&](int64_t k, const Rows& rows) {
      kernels_.embed_grad(rows, batch.dropout[k], batch.members[k]->tokens.data(), At(dx, k),
                          Bytes(keep, k), dx.size(-1), dtable.size(-2), At(dtable, k));
    });
  }

  void ResidualNorm(const PackBatch& batch, uint32_t site, const at::Tensor& x, const at::Tensor& a,
                    const at::Tensor& bias, const at::Tensor& gamma, const at::Tensor& beta,
                    const at::Tensor& y, const NormState& state) override {
    ForEach(batch, [&](int64_t k, const Rows& rows) {
      ResidualNormArgs<T> args;
      args.d = x.size(-1);
      args.x = At(x, k);
      args.a = At(a, k);
      args.bias = At(bias, k);
      args.gamma = At(gamma, k);
      args.beta = At(beta, k);
      args.y = At(y, k);
      args.xhat = At(state.xhat, k);
      args.rstd = At(state.rstd, k);
      args.keep = Bytes(state.keep, k);
      kernels_.residual_norm(rows, batch.dropout[k], site, args);
      ZeroTail(y, k, rows);
    });
  }

  void ResidualNormGrad(const PackBatch& batch, const at::Tensor& dy, const at::Tensor& da,
                        const NormState& state, const at::Tensor& gamma, const at::Tensor& dgamma,
                        const at::Tensor& dbeta, const at::Tensor& dbias) override {
    ForEach(batch, [&](int64_t k, const Rows& rows) {
      ResidualNormGradArgs<T> args;
      args.d = dy.size(-1);
      args.dy = At(dy, k);
      args.da = At(da, k);
      args.xhat = At(state.xhat, k);
      args.rstd = At(state.rstd, k);
      args.keep = Bytes(state.keep, k);
      args.gamma = At(gamma, k);
      args.dgamma = At(dgamma, k);
      args.dbeta = At(dbeta, k);
      args.dbias = At(dbias, k);
      kernels_.residual_norm_grad(rows, batch.dropout[k], args);
      ZeroTail(dy, k, rows);
      ZeroTail(da, k, rows);
    });
  }

  void Relu(const PackBatch& batch, uint32_t site, const at::Tensor& bias,
            const at::Tensor& h) override {
    ForEach(batch, [&](int64_t k, const Rows& rows) {
      kernels_.relu(rows, batch.dropout[k], site, h.size(-1), At(bias, k), At(h, k));
      ZeroTail(h, k, rows);
    });
  }

  void ReluGrad(const PackBatch& batch, const at::Tensor& h, const at::Tensor& dh,
                const at::Tensor& dbias) override {
    ForEach(batch, [&](int64_t k, const Rows& rows) {
      kernels_.relu_grad(rows, batch.dropout[k], h.size(-1), At(h, k), At(dh, k), At(dbias, k));
      ZeroTail(dh, k, rows);
    });
  }

  void Attention(const PackBatch& batch, uint32_t site, int64_t heads, const at::Tensor& qkv,
                 const at::Tensor& context, const at::Tensor& weights,
                 const at::Tensor& dropped) override {
    ForEach(batch, [&](int64_t k, const Rows& rows) {
      AttentionArgs<T> args;
      args.heads = heads;
      args.d_head = context.size(-1) / heads;
      args.qkv = At(qkv, k);
      args.context = At(context, k);
      args.weights = At(weights, k);
      args.dropped_weights = At(dropped, k);
      kernels_.attention(rows, batch.dropout[k], site, args);
      ZeroTail(context, k, rows);
    });
  }

  void AttentionGrad(const PackBatch& batch, int64_t heads, const at::Tensor& qkv,
                     const at::Tensor& weights, const at::Tensor& dropped,
                     const at::Tensor& dcontext, const at::Tensor& dqkv) override {
    ForEach(batch, [&](int64_t k, const Rows& rows) {
      AttentionGradArgs<T> args;
      args.heads = heads;
      args.d_head = dcontext.size(-1) / heads;
      args.qkv = At(qkv, k);
      args.weights = At(weights, k);
      args.dropped_weights = batch.dropout[k].active() ? At(dropped, k) : args.weights;
      args.dcontext = At(dcontext, k);
      args.dqkv = At(dqkv, k);
      kernels_.attention_grad(rows, batch.dropout[k], args);
      ZeroTail(dqkv, k, rows);
    });
  }

  void StoreKeysValues(const at::Tensor& qkv, const std::vector<int64_t>& cache_rows,
                       const at::Tensor& cache) override {
    const int64_t width = cache.size(-1);  // 2 d
    const int64_t stride = qkv.size(-1);   // 3 d
    for (int64_t k = 0; k < PackWidth(qkv); ++k) {
      for (size_t i = 0; i < cache_rows.size(); ++i) {
        std::memcpy(At(cache, k) + cache_rows[i] * width,
                    At(qkv, k) + static_cast<int64_t>(i) * stride + stride - width,
                    static_cast<size_t>(width) * sizeof(T));
      }
    }
  }

  void AttentionStep(int64_t heads, const at::Tensor& qkv, const at::Tensor& cache,
                     const std::vector<int64_t>& first_rows, const std::vector<int32_t>& lengths,
                     const at::Tensor& context) override {
    for (int64_t k = 0; k < PackWidth(qkv); ++k) {
      kernels_.attention_step(static_cast<int64_t>(lengths.size()), heads, context.size(-1) / heads,
                              At(qkv, k), At(cache, k), first_rows.data(), lengths.data(),
                              At(context, k));
    }
  }

  void TreeAttention(const PrefixTree& tree, int64_t heads, const at::Tensor& qkv,
                     const at::Tensor& context, double* const* entropy) override {
    for (int64_t k = 0; k < PackWidth(qkv); ++k) {
      TreeAttentionArgs<T> args;
      args.rows = tree.rows();
      args.longest = tree.longest();
      args.heads = heads;
      args.d_head = qkv.size(-1) / 3 / heads;
      args.parents = tree.parents().data();
      args.qkv = At(qkv, k);
      args.context = At(context, k);
      args.entropy = entropy == nullptr ? nullptr : entropy[k];
      kernels_.tree_attention(args);
    }
  }

  void SpanCosines(const std::vector<SpanChain>& chains, const at::Tensor& context,
                   const at::Tensor& alone, double* const* cosines) override {
    for (int64_t k = 0; k < PackWidth(alone); ++k) {
      SpanCosineArgs<T> args;
      args.d = alone.size(-1);
      args.context = At(context, k);
      args.alone = At(alone, k);
      for (const SpanChain& chain : chains) {
        args.length = static_cast<int64_t>(chain.alone_rows.size());
        args.context_rows = chain.context_rows.data();
        args.alone_rows = chain.alone_rows.data();
        args.cosines = cosines[k] + chain.first_cosine;
        kernels_.span_cosines(args);
      }
    }
  }

  TokenIds BestCandidates(const at::Tensor& states, const std::vector<int64_t>& rows,
                          const std::vector<int32_t>& candidates, const at::Tensor& output,
                          const at::Tensor& bias) override {
    const int64_t d = states.size(-1);
    TokenIds best(PackWidth(states));
    for (int64_t k = 0; k < PackWidth(states); ++k) {
      for (const int64_t row : rows) {
        best[k].push_back(
            BestCandidate(candidates, At(states, k) + row * d, At(output, k), At(bias, k), d));
      }
    }
    return best;
  }

  TokenIds MostProbable(const at::Tensor& logits, const at::Tensor& bias) override {
    const int64_t vocabulary = logits.size(-1);
    TokenIds best(PackWidth(logits));
    for (int64_t k = 0; k < PackWidth(logits); ++k) {
      const T* biases = At(bias, k);
      for (int64_t r = 0; r < logits.size(-2); ++r) {
        const T* row = At(logits, k) + r * vocabulary;
        int32_t word = 0;
        for (int32_t i = 1; i < vocabulary; ++i) {
          if (row[i] + biases[i] > row[word] + biases[word]) word = i;
        }
        best[k].push_back(word);
      }
    }
    return best;
  }

  void CrossEntropySums(const PackBatch& batch, const at::Tensor& bias, const at::Tensor& logits,
                        double* sums) override {
    ForEach(batch, [&](int64_t k, const Rows& rows) {
      sums[k] =
          kernels_.cross_entropy(rows.rows, logits.size(-1), At(bias, k),
                                 batch.members[k]->targets.data(), At(logits, k), false, nullptr);
    });
  }

  void CrossEntropyGrad(const PackBatch& batch, const at::Tensor& bias, const at::Tensor& logits,
                        const at::Tensor& dbias, double* loss) override {
    ForEach(batch, [&](int64_t k, const Rows& rows) {
      const double sum = kernels_.cross_entropy(rows.rows, logits.size(-1), At(bias, k),
                                                batch.members[k]->targets.data(), At(logits, k),
                                                true, At(dbias, k));
      loss[k] = sum / static_cast<double>(rows.rows);
      ZeroTail(logits, k, rows);
    });
  }

 private:
  static int32_t BestCandidate(const std::vector<int32_t>& candidates, const T* state,
                               const T* output, const T* bias, int64_t d) {
    int32_t best = -1;
    double best_logit = 0;
    for (const int32_t candidate : candidates) {
      double logit = static_cast<double>(bias[candidate]);
      const T* row = output + candidate * d;
      for (int64_t i = 0; i < d; ++i)
        logit += static_cast<double>(state[i]) * static_cast<double>(row[i]);
      if (best < 0 || logit > best_logit) {
        best = candidate;
        best_logit = logit;
      }
    }
    return best;
  }

  template <typename F>
  static void ForEach(const PackBatch& batch, F&& f) {
    for (size_t k = 0; k < batch.members.size(); ++k) {
      const MemberBatch& member = *batch.members[k];
      f(static_cast<int64_t>(k),
        Rows{member.sequences.data(), static_cast<int64_t>(member.sequences.size()),
             member.rows()});
    }
  }

  // Member k's part. A single member's tensors have no leading dimension; k is then 0.
  static T* At(const at::Tensor& tensor, int64_t k) {
    if (!tensor.defined()) return nullptr;
    return tensor.data_ptr<T>() + (k == 0 ? 0 : k * tensor.stride(0));
  }
  static uint8_t* Bytes(const at::Tensor& tensor, int64_t k) {
    if (!tensor.defined()) return nullptr;
    return tensor.data_ptr<uint8_t>() + (k == 0 ? 0 : k * tensor.stride(0));
  }
  static void ZeroTail(const at::Tensor& tensor, int64_t k, const Rows& rows) {
    const int64_t width = tensor.size(-1);
    const int64_t tail = tensor.size(-2) - rows.rows;
    if (tail > 0)
      std::memset(At(tensor, k) + rows.rows * width, 0,
                  static_cast<size_t>(tail * width) * sizeof(T));
  }

  const Kernels<T>& kernels_ = GetKernels<T>();
};

}  // namespace

std::unique_ptr<ModelOps> MakeCpuOps(at::ScalarType dtype) {
  if (dtype == at::kDouble) return std::make_unique<CpuOps<double>>();
  return std::make_unique<CpuOps<float>>();
}

}  // namespace coppice::trainer

#include "worker/trainer/model/matmul.h"

#include <algorithm>
#include <cstdint>
#include <new>
#include <optional>
#include <stdexcept>

#include "ATen/ops/addmm.h"
#include "ATen/ops/baddbmm.h"
#include "ATen/ops/bmm.h"
#include "ATen/ops/mm.h"
#include "absl/strings/str_cat.h"
#ifdef COPPICE_ONEDNN
#include <dnnl.h>
#endif

namespace coppice::trainer {
namespace {

void ProductByAten(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b, bool add) {
  at::Tensor result = out;
  if (out.dim() == 2) {
    add ? at::addmm_out(result, out, a, b) : at::mm_out(result, a, b);
  } else {
    add ? at::baddbmm_out(result, out, a, b) : at::bmm_out(result, a, b);
  }
}

#ifdef COPPICE_ONEDNN
// A matrix of a BLAS: rows lie one after the other ('N'), or columns do ('T').
struct Operand {
  char transposed;
  int64_t leading;
};

std::optional<Operand> OperandOf(const at::Tensor& t) {
  const int64_t rows = t.size(-2), columns = t.size(-1);
  const int64_t down = t.stride(-2), right = t.stride(-1);
  // Of a matrix of one row or column one stride says nothing.
  if ((right == 1 || columns == 1) && (down >= columns || rows == 1)) {
    return Operand{'N', std::max<int64_t>({down, columns, 1})};
  }
  if ((down == 1 || rows == 1) && (right >= rows || columns == 1)) {
    return Operand{'T', std::max<int64_t>({right, rows, 1})};
  }
  return std::nullopt;
}

// False: not a product for it.
bool ProductByOneDnn(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b, bool add) {
  const auto fits = [](const at::Tensor& t) {
    return t.scalar_type() == at::kFloat && t.is_cpu() && (t.dim() == 2 || t.dim() == 3);
  };
  if (!fits(out) || !fits(a) || !fits(b) || out.numel() == 0 || a.size(-1) == 0) return false;
  const auto c_layout = OperandOf(out), a_layout = OperandOf(a), b_layout = OperandOf(b);
  if (!c_layout || c_layout->transposed != 'N' || !a_layout || !b_layout) return false;
  const int64_t members = out.dim() == 3 ? out.size(0) : 1;
  const auto member = [](const at::Tensor& t, int64_t k) {
    return t.data_ptr<float>() + (t.dim() == 3 ? k * t.stride(0) : 0);
  };
  for (int64_t k = 0; k < members; ++k) {
    const dnnl_status_t status = dnnl_sgemm(
        a_layout->transposed, b_layout->transposed, out.size(-2), out.size(-1), a.size(-1), 1.0f,
        member(a, k), a_layout->leading, member(b, k), b_layout->leading, add ? 1.0f : 0.0f,
        member(out, k), c_layout->leading);
    if (status == dnnl_out_of_memory) throw std::bad_alloc();
    if (status != dnnl_success) {
      throw std::runtime_error(absl::StrCat("oneDNN refused a matrix product: status ", status));
    }
  }
  return true;
}
#else
bool ProductByOneDnn(const at::Tensor&, const at::Tensor&, const at::Tensor&, bool) { return false; }
#endif

void CheckShapes(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b) {
  const bool fit = out.dim() == a.dim() && out.dim() == b.dim() && a.size(-2) == out.size(-2) &&
                   b.size(-1) == out.size(-1) && a.size(-1) == b.size(-2) &&
                   (out.dim() != 3 || (a.size(0) == out.size(0) && b.size(0) == out.size(0)));
  if (!fit) throw std::invalid_argument("matrices of these shapes have no product");
}

void Compute(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b, bool add) {
  CheckShapes(out, a, b);
  if (!ProductByOneDnn(out, a, b, add)) ProductByAten(out, a, b, add);
}

}  // namespace

void Product(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b) {
  Compute(out, a, b, false);
}

void AddProduct(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b) {
  Compute(out, a, b, true);
}

std::string ProductLibrary() {
#ifdef COPPICE_ONEDNN
  const dnnl_version_t* version = dnnl_version();
  return absl::StrCat("oneDNN ", version->major, ".", version->minor, ".", version->patch);
#else
  return "";
#endif
}

}  // namespace coppice::trainer

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
#include "worker/trainer/model/products.h"
#ifdef COPPICE_ONEDNN
#include <dnnl.h>
#endif

namespace coppice::trainer {
namespace {

void ProductByAten(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b,
                   Transpose transpose, bool add) {
  at::Tensor result = out;
  const at::Tensor left = transpose == Transpose::kA ? a.transpose(-2, -1) : a;
  const at::Tensor right = transpose == Transpose::kB ? b.transpose(-2, -1) : b;
  if (out.dim() == 2) {
    add ? at::addmm_out(result, out, left, right) : at::mm_out(result, left, right);
  } else {
    add ? at::baddbmm_out(result, out, left, right) : at::bmm_out(result, left, right);
  }
}

// The tensor as a matrix; of a stack, the first one. nullopt: it is not float32 in CPU memory, or
// neither its rows nor its columns are contiguous.
std::optional<MatrixView> ViewOf(const at::Tensor& t, bool transpose) {
  if (t.scalar_type() != at::kFloat || !t.is_cpu()) return std::nullopt;
  const int64_t last = t.dim() - 1;
  MatrixView view{t.data_ptr<float>(), t.size(last - 1), t.size(last), t.stride(last - 1),
                  t.stride(last)};
  // In a matrix of one row or one column, one of the strides has no meaning.
  if (view.columns == 1) view.column_stride = 1;
  if (view.rows == 1) view.row_stride = view.column_stride == 1 ? view.columns : 1;
  const bool by_rows =
      view.column_stride == 1 && (view.row_stride >= view.columns || view.columns == 1);
  const bool by_columns = view.row_stride == 1 && view.column_stride >= view.rows;
  if (!by_rows && !by_columns) return std::nullopt;
  return transpose ? view.Transposed() : view;
}

#ifdef COPPICE_ONEDNN
// A matrix in the BLAS's terms: 'N' if rows are contiguous, 'T' if columns are.
struct Layout {
  char transposed;
  int64_t leading;
};

Layout LayoutOf(const MatrixView& view) {
  if (view.column_stride == 1) return {'N', std::max(view.row_stride, view.columns)};
  return {'T', std::max(view.column_stride, view.rows)};
}

void ProductByOneDnn(const MatrixView& out, const MatrixView& a, const MatrixView& b, bool add) {
  const Layout left = LayoutOf(a), right = LayoutOf(b);
  const dnnl_status_t status =
      dnnl_sgemm(left.transposed, right.transposed, out.rows, out.columns, a.columns, 1.0f, a.data,
                 left.leading, b.data, right.leading, add ? 1.0f : 0.0f, out.data,
                 std::max(out.row_stride, out.columns));
  if (status == dnnl_out_of_memory) throw std::bad_alloc();
  if (status != dnnl_success) {
    throw std::runtime_error(absl::StrCat("oneDNN refused a matrix product: status ", status));
  }
}
constexpr ProductKernel kLibraryProduct = ProductByOneDnn;
#else
constexpr ProductKernel kLibraryProduct = nullptr;
#endif

const NamedProduct& FastestProduct() {
  static const NamedProduct fastest = [] {
    NamedProduct all[kProductVariants];
    return ListProducts(all) > 0 ? all[0] : NamedProduct();
  }();
  return fastest;
}

// Null: ATen's. Only the weights' shape decides, so that a word's results do not depend on the
// number of other words in its batch.
ProductKernel KernelFor(const MatrixView& out, const MatrixView& a, const MatrixView& b) {
  const NamedProduct& own = FastestProduct();
  const int64_t weights = a.column_stride == 1 ? b.rows * b.columns : out.rows * out.columns;
  return weights <= own.most_weights ? own.multiply : kLibraryProduct;
}

// False: the product is left to ATen.
bool ProductInPlace(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b,
                    Transpose transpose, bool add) {
  if (out.numel() == 0 || a.numel() == 0) return false;
  auto to = ViewOf(out, false);
  auto left = ViewOf(a, transpose == Transpose::kA), right = ViewOf(b, transpose == Transpose::kB);
  if (!to || to->column_stride != 1 || !left || !right) return false;
  const ProductKernel kernel = KernelFor(*to, *left, *right);
  if (kernel == nullptr) return false;
  const int64_t members = out.dim() == 3 ? out.size(0) : 1;
  for (int64_t k = 0; k < members; ++k) {
    kernel(*to, *left, *right, add);
    if (members == 1) break;
    to->data += out.stride(0);
    left->data += a.stride(0);
    right->data += b.stride(0);
  }
  return true;
}

void CheckShapes(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b,
                 Transpose transpose) {
  const int64_t dim = out.dim();
  bool fit = (dim == 2 || dim == 3) && a.dim() == dim && b.dim() == dim;
  if (fit) {
    const int64_t a_rows = dim - (transpose == Transpose::kA ? 1 : 2);
    const int64_t b_rows = dim - (transpose == Transpose::kB ? 1 : 2);
    const int64_t a_columns = 2 * dim - 3 - a_rows, b_columns = 2 * dim - 3 - b_rows;
    fit = a.size(a_rows) == out.size(dim - 2) && b.size(b_columns) == out.size(dim - 1) &&
          a.size(a_columns) == b.size(b_rows) &&
          (dim != 3 || (a.size(0) == out.size(0) && b.size(0) == out.size(0)));
  }
  if (!fit) throw std::invalid_argument("matrices of these shapes have no product");
}

void Compute(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b, Transpose transpose,
             bool add) {
  CheckShapes(out, a, b, transpose);
  if (!ProductInPlace(out, a, b, transpose, add)) ProductByAten(out, a, b, transpose, add);
}

}  // namespace

void Product(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b, Transpose transpose) {
  Compute(out, a, b, transpose, false);
}

void AddProduct(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b,
                Transpose transpose) {
  Compute(out, a, b, transpose, true);
}

std::string ProductLibrary() {
  const NamedProduct& own = FastestProduct();
  if (own.most_weights == kAnyWeights) return own.name;
#ifdef COPPICE_ONEDNN
  const dnnl_version_t* version = dnnl_version();
  return absl::StrCat(own.name, own.multiply != nullptr ? ", " : "", "oneDNN ", version->major, ".",
                      version->minor, ".", version->patch);
#else
  return "";
#endif
}

}  // namespace coppice::trainer

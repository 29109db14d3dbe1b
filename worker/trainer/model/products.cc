#include "worker/trainer/model/products.h"

#ifdef COPPICE_X86_KERNELS
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "worker/trainer/model/kernels_variants.h"

namespace coppice::trainer {

#ifdef COPPICE_X86_KERNELS
namespace {

// Also asks the operating system for the tile registers, which a process gets only on request.
bool HasAmx() {
  constexpr unsigned kTiles = 1u << 24, kBfloat16 = 1u << 22;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  if ((edx & kTiles) == 0 || (edx & kBfloat16) == 0) return false;
  constexpr long kRequest = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, Linux 5.16
  return ::syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
}

}  // namespace
#endif

int ListProducts(NamedProduct out[kProductVariants]) {
  int count = 0;
#ifdef COPPICE_X86_KERNELS
  // Beyond this oneDNN is faster (e.g. at d = 512), because it keeps larger blocks in the
  // second-level cache. The bound is the same for both sets, so that both compute the same
  // products.
  constexpr int64_t kMostWeights = int64_t{1} << 17;
  if (HasAvx512()) {
    if (!IsOff("COPPICE_AMX") && HasAmx()) out[count++] = {"AMX", kAmxProduct, kAnyWeights};
    out[count++] = {"AVX-512", kAvx512Product, kMostWeights};
  }
  if (HasAvx2()) out[count++] = {"AVX2", kAvx2Product, kMostWeights};
#endif
  return count;
}

}  // namespace coppice::trainer

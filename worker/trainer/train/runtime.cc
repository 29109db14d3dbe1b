#include "worker/trainer/train/runtime.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <new>
#include <utility>

#include "ATen/Context.h"
#include "ATen/Parallel.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/build_info.h"
#include "common/base/clock.h"
#include "common/base/logging.h"
#include "common/base/process_start.h"
#include "common/base/stop_requests.h"
#include "torch/version.h"
#include "worker/trainer/model/matmul.h"

namespace coppice::trainer {
namespace {

std::atomic<bool> stop_flag{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler sets it");
// Counts SIGINTs. Only the handler uses these, and it does not interrupt itself. If two threads get
// a SIGINT at the same moment, the first one takes the flag and the other ignores its signal.
StopRequests interrupts;
std::atomic_flag counting = ATOMIC_FLAG_INIT;
Clock* monotonic = nullptr;

extern "C" void OnStopSignal(int signal_number) {
  stop_flag.store(true, std::memory_order_relaxed);
  if (signal_number != SIGINT || counting.test_and_set(std::memory_order_acquire)) return;
  const int saved = errno;
  const StopRequests::Meaning meaning = interrupts.OnSignal(monotonic->Monotonic());
  errno = saved;
  counting.clear(std::memory_order_release);
  if (meaning == StopRequests::Meaning::kLeave) _exit(128 + SIGINT);
}

}  // namespace

std::atomic<bool>& StopFlag() { return stop_flag; }

void InstallSignalHandlers() {
  monotonic = Clock::Real();
  struct sigaction action = {};
  action.sa_handler = OnStopSignal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  const sigset_t requests = StopSignalSet({SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2});
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}) {
    if (sigismember(&requests, signal) == 1) sigaction(signal, &action, nullptr);
  }
}

void PrepareComputeThread() {
  // With OpenMP, LibTorch's setting is per thread, but the call also creates a shared pool.
  static absl::Mutex mutex(absl::kConstInit);
  absl::MutexLock lock(&mutex);
  at::set_num_threads(1);
  using SetThreads = void (*)(int);
  if (void* symbol = dlsym(RTLD_DEFAULT, "openblas_set_num_threads"))
    reinterpret_cast<SetThreads>(symbol)(1);
  at::globalContext().setFlushDenormal(true);
}

BlasInfo DetectBlas() {
  if (std::string library = ProductLibrary(); !library.empty()) return {std::move(library), false};
  void* symbol = dlsym(RTLD_DEFAULT, "sgemm_");
  Dl_info info = {};
  if (symbol == nullptr || dladdr(symbol, &info) == 0 || info.dli_fname == nullptr) {
    return at::hasMKL() ? BlasInfo{"mkl (linked into libtorch)", false}
                        : BlasInfo{"unknown", false};
  }
  char resolved[PATH_MAX];
  const std::string path =
      ::realpath(info.dli_fname, resolved) != nullptr ? resolved : info.dli_fname;
  const std::string base = path.substr(path.rfind('/') + 1);
  const std::string lower = absl::AsciiStrToLower(path);
  for (const char* name : {"openblas", "mkl", "blis", "atlas", "armpl"}) {
    if (absl::StrContains(lower, name)) return {absl::StrCat(name, " (", base, ")"), false};
  }
  // A LibTorch with a built-in BLAS resolves the symbol in its own library.
  if (absl::StrContains(lower, "torch")) return {absl::StrCat("bundled (", base, ")"), false};
  return {absl::StrCat("reference (", base, ")"), true};
}

bool IsOutOfMemory(const std::exception& error) {
  const absl::string_view message = error.what();
  return dynamic_cast<const std::bad_alloc*>(&error) != nullptr ||
         absl::StrContains(message, "allocate memory") ||
         absl::StrContains(message, "out of memory") || absl::StrContains(message, "ALLOC_FAILED");
}

std::string LibTorchVersion() { return TORCH_VERSION; }

std::string BuildDescription() {
#ifdef NDEBUG
  constexpr absl::string_view kKind = "optimized";
#else
  constexpr absl::string_view kKind = "debug";
#endif
  return absl::StrCat(VersionText(), " ", kKind, " gcc ", __VERSION__);
}

}  // namespace coppice::trainer

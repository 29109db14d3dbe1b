#include "bench/trainer/contestant.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ATen/ops/empty.h"
#include "ATen/ops/mm.h"
#include "ATen/ops/rand.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "bench/trainer/baseline.h"
#include "bench/trainer/products.h"
#include "bench/trainer/workload.h"
#include "c10/core/InferenceMode.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "worker/trainer/train/engine.h"
#include "worker/trainer/train/runtime.h"

namespace coppice::bench {
namespace {

constexpr absl::Duration kWarmUp = absl::Milliseconds(500);
constexpr int64_t kWarmUpSteps = 2;
constexpr absl::Duration kPollInterval = absl::Microseconds(200);
constexpr int64_t kGemmSize = 1024;

absl::Duration Now() { return Clock::Real()->Monotonic(); }

// Measures the time since its construction, by the clock that Process::cpu_time selects.
class Stopwatch {
 public:
  explicit Stopwatch(const Process& process)
      : cpu_time_(process.cpu_time), threads_(process.threads), begin_(Read()) {}
  double Seconds() const { return absl::ToDoubleSeconds(Read() - begin_); }

 private:
  absl::Duration Read() const {
    if (!cpu_time_) return Now();
    timespec used = {};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return absl::DurationFromTimespec(used) / threads_;
  }

  const bool cpu_time_;
  const int threads_;
  const absl::Duration begin_;
};

absl::Status SayReady(int in, int out) {
  const std::string ready = "ready\n";
  char go = 0;
  if (::write(out, ready.data(), ready.size()) != static_cast<ssize_t>(ready.size()) ||
      ::read(in, &go, 1) != 1) {
    return absl::AbortedError("the bench is gone");
  }
  return absl::OkStatus();
}

absl::Status SayRate(int out, double rate) {
  const std::string line = absl::StrCat(rate, "\n");
  if (::write(out, line.data(), line.size()) == static_cast<ssize_t>(line.size()))
    return absl::OkStatus();
  return absl::AbortedError("the bench is gone");
}

// Calls step(n) for n = 0, 1, ..
absl::Status RaceSteps(const Process& process, double work,
                       const std::function<void(int64_t)>& step, int in, int out) {
  int64_t count = 0;
  for (const absl::Duration begin = Now(); count < kWarmUpSteps || Now() - begin < kWarmUp;)
    step(count++);
  COPPICE_RETURN_IF_ERROR(SayReady(in, out));
  const int64_t first = count;
  const absl::Duration begin = Now();
  const Stopwatch watch(process);
  while (Now() - begin < absl::Seconds(process.seconds)) step(count++);
  return SayRate(out, work * static_cast<double>(count - first) / watch.Seconds());
}

absl::Status RaceBaseline(const Process& process, int in, int out) {
  const bool tuned = process.contestant == Contestant::kTuned;
  if (tuned) KeepFreedMemory();
  SetComputeThreads(process.threads);
  const trainer::RunConfig run = RunOf(Configurations()[process.configuration]);
  COPPICE_ASSIGN_OR_RETURN(const trainer::Dataset dataset, MakeData(run));
  Baseline baseline(tuned ? BaselineKind::kTuned : BaselineKind::kEager, run, &dataset,
                    process.seed);
  return RaceSteps(
      process, 1, [&](int64_t step) { baseline.Step(step); }, in, out);
}

absl::Status RaceGemm(const Process& process, int in, int out) {
  SetComputeThreads(process.threads);
  const c10::InferenceMode no_autograd;
  const at::Tensor a = at::rand({kGemmSize, kGemmSize}), b = at::rand({kGemmSize, kGemmSize});
  at::Tensor c = at::empty({kGemmSize, kGemmSize});
  constexpr auto kSize = static_cast<double>(kGemmSize);
  return RaceSteps(
      process, 2 * kSize * kSize * kSize, [&](int64_t) { at::mm_out(c, a, b); }, in, out);
}

absl::Status RaceProducts(const Process& process, int in, int out) {
  constexpr int64_t kBatches = 500;
  trainer::PrepareComputeThread();
  SetComputeThreads(process.threads);
  const c10::InferenceMode no_autograd;
  const trainer::RunConfig run = RunOf(Configurations()[process.configuration]);
  COPPICE_ASSIGN_OR_RETURN(const trainer::Dataset dataset, MakeData(run));
  const std::vector<int64_t> lengths = SequenceLengths(run, dataset, process.seed, kBatches);
  std::vector<int64_t> rows(kBatches);
  for (size_t i = 0; i < lengths.size(); ++i) rows[i * kBatches / lengths.size()] += lengths[i];
  Products products(ShapeOf(run, dataset), *std::max_element(rows.begin(), rows.end()));
  return RaceSteps(
      process, 1, [&](int64_t step) { products.Step(rows[step % kBatches]); }, in, out);
}

int64_t StepsOf(trainer::Engine& engine) {
  int64_t steps = 0;
  for (size_t i = 0; i < engine.size(); ++i) steps += engine.member(i).step();
  return steps;
}

void AwaitStep(trainer::Engine& engine) {
  for (const int64_t steps = StepsOf(engine); StepsOf(engine) == steps;)
    absl::SleepFor(kPollInterval);
}

absl::Status RaceOurs(const Process& process, int in, int out) {
  trainer::PrepareComputeThread();
  trainer::EngineOptions options;
  options.spec.run = RunOf(Configurations()[process.configuration]);
  options.spec.threads = process.threads;
  for (int i = 0; i < process.threads; ++i) {
    options.spec.members.push_back(
        {process.seed + static_cast<uint64_t>(i), "/dev/null/never-written", ""});
  }
  COPPICE_ASSIGN_OR_RETURN(const trainer::Dataset dataset, MakeData(options.spec.run));
  trainer::EventWriter events(::open("/dev/null", O_WRONLY | O_CLOEXEC), [] {});
  COPPICE_ASSIGN_OR_RETURN(
      const std::unique_ptr<trainer::Engine> engine,
      trainer::Engine::Create(options, &dataset, &events, Clock::Real(), &trainer::StopFlag()));
  COPPICE_RETURN_IF_ERROR(engine->Restore());
  // It never ends. The process ends while everything that it uses is still in scope.
  std::thread([&engine] { engine->Run(); }).detach();
  const absl::Duration start = Now();
  const int64_t warm = kWarmUpSteps * process.threads;
  while (StepsOf(*engine) < warm || Now() - start < kWarmUp) AwaitStep(*engine);
  absl::Status status = SayReady(in, out);
  if (status.ok()) {
    AwaitStep(*engine);
    const Stopwatch watch(process);
    const int64_t first = StepsOf(*engine);
    absl::SleepFor(absl::Seconds(process.seconds));
    AwaitStep(*engine);
    status = SayRate(out, static_cast<double>(StepsOf(*engine) - first) / watch.Seconds());
  }
  std::_Exit(status.ok() ? 0 : 1);
}

}  // namespace

absl::Status RunContestant(const Process& process, int in, int out) {
  switch (process.contestant) {
    case Contestant::kEager:
    case Contestant::kTuned:
      return RaceBaseline(process, in, out);
    case Contestant::kOurs:
      return RaceOurs(process, in, out);
    case Contestant::kProducts:
      return RaceProducts(process, in, out);
    case Contestant::kGemm:
      return RaceGemm(process, in, out);
  }
  return absl::InternalError("no such contestant");
}

}  // namespace coppice::bench

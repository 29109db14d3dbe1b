#include "worker/trainer/train/measure.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "common/base/status_macros.h"
#include "nlohmann/json.hpp"
#include "worker/trainer/train/engine.h"
#include "worker/trainer/train/runtime.h"

namespace coppice::trainer {
namespace {

constexpr int64_t kNever = int64_t{1} << 40;
constexpr int64_t kTrainingSentences = 20000;
constexpr int64_t kOtherSentences = 100;
constexpr double kLearningRate = 1e-6;

constexpr absl::Duration kPollInterval = absl::Milliseconds(1);
constexpr absl::Duration kWindow = absl::Milliseconds(400);
constexpr int64_t kPackSteps = 2;  // the fewest to measure, unless time is up
// From this number on the position of the window's end within a pack step does not matter.
constexpr int64_t kManyPackSteps = 8;

// A pack gains if it is faster than the best by this factor. The search for wider ones ends after
// two packs in a row without gain, or after one that is slower by kClearlyWorse.
constexpr double kGain = 1.05;
constexpr double kClearlyWorse = 0.9;
// The share of the available memory that a pack may take. The remainder is for its probes and
// checkpoints, on a CPU also for its first evaluation, and for other processes.
constexpr double kUsableShare = 0.8;

// Collects the engine's events. They are read only for failures.
class EventSink {
 public:
  EventSink() : fd_(::memfd_create("measured", MFD_CLOEXEC)), writer_(fd_, nullptr) {}
  ~EventSink() { ::close(fd_); }
  EventSink(const EventSink&) = delete;
  EventSink& operator=(const EventSink&) = delete;

  EventWriter* writer() { return &writer_; }
  // The kind and message of the first failure; nullopt: none.
  std::optional<std::pair<std::string, std::string>> Failure() const {
    std::string text(static_cast<size_t>(std::max<off_t>(::lseek(fd_, 0, SEEK_END), 0)), '\0');
    if (::pread(fd_, text.data(), text.size(), 0) < 0) return std::nullopt;
    for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
      const auto event = nlohmann::json::parse(line.begin(), line.end(), nullptr, false);
      if (event.is_discarded() || event.value("event", "") != "failed") continue;
      return std::pair(event.value("kind", ""), event.value("message", ""));
    }
    return std::nullopt;
  }

 private:
  const int fd_;
  EventWriter writer_;
};

// One pack in training, on a separate thread, until it is stopped.
class Pack {
 public:
  // Codes of Engine::Create. RESOURCE_EXHAUSTED: the pack does not fit into memory.
  static absl::StatusOr<std::unique_ptr<Pack>> Start(const MeasureOptions& options, int64_t width,
                                                     const Dataset* dataset, Clock* clock) {
    std::unique_ptr<Pack> pack(new Pack(width));
    EngineOptions engine;
    engine.spec.run = options.run;
    engine.spec.threads = options.threads;
    engine.spec.prune = false;
    engine.device = options.device;
    // Evaluation would otherwise first run out of memory thousands of steps later.
    engine.evaluate_first = true;
    for (int64_t seed = 0; seed < width; ++seed) {
      engine.spec.members.push_back({static_cast<uint64_t>(seed), "", ""});
    }
    // The pack ends by preemption, which must leave no file.
    engine.save = [](auto&&...) { return SavedCheckpoint(); };
    try {
      COPPICE_ASSIGN_OR_RETURN(pack->engine_, Engine::Create(engine, dataset, pack->sink_.writer(),
                                                             clock, &pack->stop_));
      COPPICE_RETURN_IF_ERROR(pack->engine_->Restore());
    } catch (const std::exception& error) {
      if (!IsOutOfMemory(error)) throw;
      return absl::ResourceExhaustedError("out of memory for the pack's parameters");
    }
    pack->thread_ = std::thread([self = pack.get()] { self->Run(); });
    return pack;
  }
  ~Pack() { Stop(); }

  int64_t width() const { return width_; }
  // The steps of all members together.
  int64_t Steps() const {
    int64_t steps = 0;
    for (size_t i = 0; i < engine_->size(); ++i) steps += engine_->member(i).step();
    return steps;
  }
  bool EachHasStepped() const {
    for (size_t i = 0; i < engine_->size(); ++i) {
      if (engine_->member(i).step() == 0) return false;
    }
    return true;
  }
  // False: training has ended by itself.
  bool Wait(absl::Duration time) {
    absl::MutexLock lock(&mutex_);
    return !mutex_.AwaitWithTimeout(absl::Condition(&ended_), time);
  }
  void Stop() {
    stop_.store(true);
    if (thread_.joinable()) thread_.join();
  }
  const EventSink& sink() const { return sink_; }

 private:
  explicit Pack(int64_t width) : width_(width) {}
  void Run() {
    engine_->Run();
    absl::MutexLock lock(&mutex_);
    ended_ = true;
  }

  const int64_t width_;
  std::atomic<bool> stop_{false};
  EventSink sink_;
  std::unique_ptr<Engine> engine_;
  absl::Mutex mutex_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

class Meter {
 public:
  Meter(const MeasureOptions& options, const Dataset& dataset, EventWriter* events, Clock* clock,
        const std::atomic<bool>* stop)
      : options_(options),
        dataset_(dataset),
        events_(*events),
        clock_(*clock),
        stop_(*stop),
        memory_(options.device->memory()),
        deadline_(clock->Monotonic() + options.limit) {}

  absl::Status Run() {
    const absl::Duration begin = clock_.Monotonic();
    COPPICE_ASSIGN_OR_RETURN(const std::vector<int64_t> measured, FirstRound());
    // Measures again, because other load on the machine makes a measurement slower, never faster.
    if (measured.size() < 2 || clock_.Monotonic() - begin > options_.limit / 2) {
      return absl::OkStatus();
    }
    for (const int64_t width : measured) {
      if (!Over()) COPPICE_RETURN_IF_ERROR(Measure(width).status());
    }
    return absl::OkStatus();
  }

 private:
  bool Over() const {
    return stop_.load(std::memory_order_relaxed) || clock_.Monotonic() >= deadline_;
  }

  // Returns the widths that gave a result.
  absl::StatusOr<std::vector<int64_t>> FirstRound() {
    const std::vector<int64_t>& widths = options_.widths;
    const bool widening = std::is_sorted(widths.begin(), widths.end());
    const int64_t widest = *std::max_element(widths.begin(), widths.end());
    std::vector<int64_t> measured;
    int64_t too_wide = widest + 1;
    int flat = 0;
    double best = 0;
    for (const int64_t width : widths) {
      if (Over()) break;
      if (width >= too_wide) continue;
      double rate = 0;
      if (Fits(width)) {
        COPPICE_ASSIGN_OR_RETURN(rate, Measure(width));
      }
      if (rate == 0) {
        too_wide = width;
        continue;
      }
      measured.push_back(width);
      // If other processes use some of the cores, the widest pack may be slow while narrower ones
      // are not.
      if (rate < kClearlyWorse * best && (widening || width < widest)) break;
      flat = rate < kGain * best ? flat + 1 : 0;
      if (widening && flat == 2) break;
      best = std::max(best, rate);
    }
    return measured;
  }

  // Estimates from the previous width. A host's kernel would not refuse the memory but kill a
  // process for it, perhaps another one.
  bool Fits(int64_t width) {
    const std::optional<int64_t> available = memory_.AvailableBytes();
    const double needed = bytes_per_member_ * static_cast<double>(width);
    if (!available.has_value() || needed <= kUsableShare * static_cast<double>(*available)) {
      return true;
    }
    events_.WidthOutOfMemory(
        width, absl::StrCat("would take about ", static_cast<int64_t>(needed) >> 20, " MiB of the ",
                            *available >> 20, " MiB that are left"));
    return false;
  }

  // Returns seed-steps per second, after a width event with them. 0: this width gave no result.
  absl::StatusOr<double> Measure(int64_t width) {
    memory_.ResetPeak();
    const int64_t before = memory_.HeldBytes();
    absl::StatusOr<std::unique_ptr<Pack>> pack = Pack::Start(options_, width, &dataset_, &clock_);
    if (absl::IsResourceExhausted(pack.status())) {
      events_.WidthOutOfMemory(width, pack.status().message());
      return 0;
    }
    COPPICE_RETURN_IF_ERROR(pack.status());
    const double rate = WarmUp(**pack) ? Window(**pack) : 0;
    (*pack)->Stop();
    if (const auto failure = (*pack)->sink().Failure()) {
      const auto& [kind, message] = *failure;
      if (kind != FailureKindText(FailureKind::kOutOfMemory)) return absl::InternalError(message);
      events_.WidthOutOfMemory(width, message);
      return 0;
    }
    if (rate == 0) return 0;
    const int64_t peak = memory_.PeakBytes();
    bytes_per_member_ =
        static_cast<double>(std::max<int64_t>(peak - before, 0)) / static_cast<double>(width);
    events_.Width(width, rate / static_cast<double>(width), rate, peak);
    return rate;
  }

  // False: time was up before, or training ended.
  bool WarmUp(Pack& pack) {
    const absl::Duration begin = clock_.Monotonic();
    const absl::Duration least = options_.device->warm_up();
    while (!pack.EachHasStepped() || clock_.Monotonic() - begin < least) {
      if (Over() || !pack.Wait(kPollInterval)) return false;
    }
    return true;
  }

  // Seed-steps per second from the end of one step to the end of another. 0: time was up before a
  // whole pack step.
  double Window(Pack& pack) {
    const int64_t width = pack.width();
    std::optional<std::pair<int64_t, absl::Duration>> first;
    double rate = 0;
    for (int64_t seen = pack.Steps();;) {
      if (Over() || !pack.Wait(kPollInterval)) return rate;
      const int64_t steps = pack.Steps();
      if (steps == std::exchange(seen, steps)) continue;
      const absl::Duration now = clock_.Monotonic();
      if (!first.has_value()) {
        first = {steps, now};
        continue;
      }
      const int64_t done = steps - first->first;
      const absl::Duration taken = now - first->second;
      if (done < width || (done % width != 0 && done < kManyPackSteps * width)) continue;
      rate = static_cast<double>(done) / absl::ToDoubleSeconds(taken);
      if (taken >= kWindow && done >= kPackSteps * width) return rate;
    }
  }

  const MeasureOptions& options_;
  const Dataset& dataset_;
  EventWriter& events_;
  Clock& clock_;
  const std::atomic<bool>& stop_;
  MemoryMeter& memory_;
  const absl::Duration deadline_;
  double bytes_per_member_ = 0;  // of the width measured last
};

}  // namespace

std::vector<int64_t> CandidateWidths(int64_t widest, int64_t threads, bool cpu) {
  std::vector<int64_t> widths = {1};
  if (cpu) {
    for (int64_t width = std::min(widest, threads); width > 1; width /= 2) widths.push_back(width);
    return widths;
  }
  for (int64_t width = 2; width < widest; width *= 2) widths.push_back(width);
  if (widest > 1) widths.push_back(widest);
  return widths;
}

RunConfig MeasuredRun(RunConfig run) {
  // If checkpoints are written during training, the pack has a snapshot buffer for them.
  const bool snapshots = run.checkpoint.every < run.train.steps;
  run.train.steps = kNever;
  run.train.learning_rate = std::min(run.train.learning_rate, kLearningRate);
  run.report.every = kNever;
  run.report.probe_sentences = 0;
  run.checkpoint.every = snapshots ? kNever - 1 : kNever;
  if (!run.data.directory.empty()) return run;
  run.data.train = std::min(run.data.train, std::max(kTrainingSentences, run.train.batch_size));
  for (int64_t* size : {&run.data.val, &run.data.test, &run.data.gen}) {
    *size = std::min(*size, kOtherSentences);
  }
  return run;
}

absl::Status MeasureWidths(const MeasureOptions& options, const Dataset& dataset,
                           EventWriter* events, Clock* clock, const std::atomic<bool>* stop) {
  return Meter(options, dataset, events, clock, stop).Run();
}

}  // namespace coppice::trainer

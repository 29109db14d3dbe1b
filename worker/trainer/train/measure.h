// `coppice-trainer measure`: the speed of packs of several widths on this machine.
#ifndef COPPICE_WORKER_TRAINER_TRAIN_MEASURE_H_
#define COPPICE_WORKER_TRAINER_TRAIN_MEASURE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "worker/trainer/base/events.h"
#include "worker/trainer/config/config.h"
#include "worker/trainer/tasks/dataset.h"
#include "worker/trainer/train/device.h"

namespace coppice::trainer {

// The widths in the order in which they are measured. On a GPU: 1, 2, 4 and so on up to `widest`,
// because a step is short and the gain of wider packs is unknown. On a CPU: 1, then the number of
// threads (at most `widest`), then half of that and so on. A thread trains one member at a time, so
// a wider pack gains nothing and the widest of these is most likely the best. A step may also be
// too long to measure many widths.
std::vector<int64_t> CandidateWidths(int64_t widest, int64_t threads, bool cpu);

// The run as it is measured: the same model and buffers on batches of the same lengths, but no
// report, probe, checkpoint or end during the measurement. Generated data sets are smaller, which
// does not change the lengths in a batch. The learning rate is small, so that no setting diverges.
RunConfig MeasuredRun(RunConfig run);

struct MeasureOptions {
  RunConfig run;  // made by MeasuredRun
  std::vector<int64_t> widths;
  int64_t threads = 1;
  absl::Duration limit;  // for all widths together; a step in progress is finished
  std::shared_ptr<Device> device = MakeCpu();
};

// Trains packs of each width with the trainer's own engine, and writes a width event for each. If
// that took less than half of the limit, it measures all of them once more. It stops early when
// wider packs gain nothing, or when narrower ones are clearly slower. It skips widths at or above
// one that does not fit into memory (which is a result, and written). It also stops when the limit
// or `stop` leaves no time; a width without a whole pack step then gets no event. Codes of
// Engine::Create. INTERNAL: a step fails for another reason than memory.
absl::Status MeasureWidths(const MeasureOptions& options, const Dataset& dataset,
                           EventWriter* events, Clock* clock, const std::atomic<bool>* stop);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TRAIN_MEASURE_H_

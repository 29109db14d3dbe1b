// How fast packs of several widths train here: `coppice-trainer measure`.
#ifndef COPPICE_WORKER_TRAINER_TRAIN_MEASURE_H_
#define COPPICE_WORKER_TRAINER_TRAIN_MEASURE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "worker/trainer/config.h"
#include "worker/trainer/cuda/accelerator.h"
#include "worker/trainer/events.h"
#include "worker/trainer/tasks/dataset.h"

namespace coppice::trainer {

// In the order in which they are measured. On a GPU 1, 2, 4 and so on up to `widest`: a step is
// short and how far packs go on gaining is open. On a CPU 1, then as many as there are threads,
// then half of that and so on: a thread trains one member at a time, so that a wider pack only
// waits for them and the widest is most likely best, while a step may be too long for many looks.
std::vector<int64_t> CandidateWidths(int64_t widest, int64_t threads, absl::string_view device);

// The run as it is measured: the same model on batches of the same lengths with the same buffers,
// but no report, probe, checkpoint or end comes while it is. Generated data are fewer, which the
// lengths in a batch do not depend on; the learning rate is small, so that no setting diverges.
RunConfig MeasuredRun(RunConfig run);

struct MeasureOptions {
  RunConfig run;  // of MeasuredRun
  std::vector<int64_t> widths;
  int64_t threads = 1;
  absl::Duration limit;  // for all widths together; a step that has begun is finished
  std::shared_ptr<Accelerator> accelerator = nullptr;  // as in EngineOptions
};

// Trains packs of each width with the trainer's own engine, and writes a width event for each; when
// that took less than half of the limit, all of it once more. Leaves out the rest when wider packs
// gain nothing, or narrower ones are clearly slower; those that are as wide as one that does not
// fit into memory (which is a result, and written); and what the limit or `stop` leaves no time for
// (a width without a whole pack step is left out). Codes of Engine::Create; INTERNAL when a step
// fails for another reason than memory.
absl::Status MeasureWidths(const MeasureOptions& options, const Dataset& dataset,
                           EventWriter* events, Clock* clock, const std::atomic<bool>* stop);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TRAIN_MEASURE_H_

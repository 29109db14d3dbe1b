// The cost of a run's probes, relative to its training and to one pass per span.
#ifndef COPPICE_BENCH_PROBES_MEASURE_H_
#define COPPICE_BENCH_PROBES_MEASURE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "worker/trainer/config/config.h"

namespace coppice::bench {

struct Effort {
  int rounds = 3;                 // each measures everything once, so that all meet the same load
  double seconds = 3;             // of training steps
  int64_t per_word_rows = 25000;  // RowsPerFirstWord of the probed sentences; about 430 questions
  int64_t per_span_rows = 5000;   // read by one pass per span; about 25 questions
  int64_t evaluation_part = 20;   // a twentieth of the evaluation's sentences
};

// CPU seconds of one thread at one report, for all sentences.
struct Costs {
  double step = 0;
  double evaluation = 0;
  double probe = 0;
  double per_span = 0;
  // Rows of the model that the probes read, and rows that one pass per span reads.
  int64_t rows = 0;
  int64_t per_span_rows = 0;
  // The cost of a row in a quarter of the measured sentences, relative to its cost in all of them.
  // 1 if the cost is proportional to the rows.
  double probe_scaling = 0;
  double per_span_scaling = 0;

  // The probes' share of the time from one report to the next.
  double Share(int64_t report_every) const {
    return probe / (static_cast<double>(report_every) * step + evaluation + probe);
  }
  double Ratio() const { return per_span / probe; }
};

// Runs the real code on this thread, with initial weights after some steps. Figures are medians
// over the rounds; share and ratio are taken in each round.
struct Measured {
  Costs costs;
  double share = 0;
  double ratio = 0;
};
absl::StatusOr<Measured> MeasureCosts(const trainer::RunConfig& run, const Effort& effort);

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_PROBES_MEASURE_H_

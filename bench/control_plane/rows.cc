#include "bench/control_plane/rows.h"

#include <utility>

#include "absl/time/clock.h"
#include "bench/control_plane/sweeps.h"

namespace coppice::bench {

void Rows::Start() {
  if (series_.empty()) {
    for (size_t i = 0; i < fleet_.size(); ++i) {
      for (const v1::HeldLease& held : fleet_.at(i).held())
        series_.push_back(std::make_unique<Series>(Series{&fleet_.at(i), held.lease(), 0}));
    }
  }
  open_ = true;
  for (const auto& series : series_) {
    ++in_flight_;
    Send(series.get());
    series->worker->Flush();
  }
}

void Rows::Send(Series* series) {
  std::vector<v1::AttemptRecord> row(1);
  *row[0].mutable_lease() = series->lease;
  row[0].set_number(series->step + 1);
  FillRow(series->step + 1, options_.values, row[0].mutable_row());
  const absl::Duration sent = Clock::Real()->Monotonic();
  series->worker->Add(std::move(row), [this, series, sent](const v1::AttemptAnswer& answer) {
    const bool taken = !answer.over() && !answer.has_refusal();
    {
      absl::MutexLock lock(&mutex_);
      ++(taken ? result_.rows : result_.refused);
      result_.latency.Add(Clock::Real()->Monotonic() - sent);
      if (taken) ++series->step;
    }
    if (taken) series->worker->SetStep(series->lease.job_id(), series->step);
    if (taken && open_) return Send(series);  // the worker flushes after its answers
    --in_flight_;
  });
}

bool Rows::WaitForNone(absl::Duration limit) {
  const absl::Duration end = Clock::Real()->Monotonic() + limit;
  while (in_flight_ > 0 && Clock::Real()->Monotonic() < end) absl::SleepFor(absl::Milliseconds(5));
  return in_flight_ == 0;
}

RowsResult Rows::Run(pid_t server, absl::Duration duration) {
  Start();
  // The opening of the streams is not measured.
  absl::SleepFor(std::min(absl::Seconds(5), duration / 2));
  {
    absl::MutexLock lock(&mutex_);
    result_ = RowsResult();
  }
  const absl::Duration began = Clock::Real()->Monotonic();
  const double client_cpu = OwnCpuSeconds();
  const double server_cpu = CpuSecondsOf(server);
  absl::SleepFor(duration);
  RowsResult result;
  {
    absl::MutexLock lock(&mutex_);
    result = result_;
  }
  result.seconds = absl::ToDoubleSeconds(Clock::Real()->Monotonic() - began);
  result.client_cpu = OwnCpuSeconds() - client_cpu;
  result.server_cpu = CpuSecondsOf(server) - server_cpu;
  Stop();
  WaitForNone(absl::Seconds(60));
  return result;
}

absl::flat_hash_map<uint64_t, uint32_t> Rows::acked() const {
  absl::MutexLock lock(&mutex_);
  absl::flat_hash_map<uint64_t, uint32_t> steps;
  for (const auto& series : series_) steps[series->lease.job_id()] = series->step;
  return steps;
}

}  // namespace coppice::bench

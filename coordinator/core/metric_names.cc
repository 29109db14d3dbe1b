#include "coordinator/core/metric_names.h"

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"

namespace coppice::core {

size_t MetricNames::HashOf(const std::string& name) { return absl::Hash<std::string>()(name); }

bool MetricNames::SweepHas(SweepId sweep, const std::string& name) const {
  const auto it = sweeps_.find(sweep);
  return it != sweeps_.end() && it->second.names.contains(HashOf(name));
}

size_t MetricNames::CountOf(SweepId sweep) const {
  const auto it = sweeps_.find(sweep);
  return it == sweeps_.end() ? 0 : it->second.count;
}

const MetricNames::Set* MetricNames::OfJob(JobId job) const {
  const auto it = jobs_.find(job);
  return it == jobs_.end() ? nullptr : &it->second;
}

void MetricNames::AddToSweep(SweepId sweep, const std::vector<std::string>& names, size_t count) {
  MakeRoom(names.size());
  Sweep& known = sweeps_[sweep];
  for (const std::string& name : names) size_ += known.names.insert(HashOf(name)).second ? 1 : 0;
  known.count = std::max(known.count, count);
}

void MetricNames::SetOfJob(JobId job, Set names) {
  MakeRoom(names.size());
  Set& known = jobs_[job];
  size_ += names.size();
  size_ -= known.size();
  known = std::move(names);
}

void MetricNames::ForgetSweep(SweepId sweep) {
  const auto it = sweeps_.find(sweep);
  if (it == sweeps_.end()) return;
  size_ -= it->second.names.size();
  sweeps_.erase(it);
}

void MetricNames::MakeRoom(size_t more) {
  if (size_ + more <= kMost) return;
  sweeps_.clear();
  jobs_.clear();
  size_ = 0;
}

}  // namespace coppice::core

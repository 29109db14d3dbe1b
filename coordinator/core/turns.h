#ifndef COPPICE_COORDINATOR_CORE_TURNS_H_
#define COPPICE_COORDINATOR_CORE_TURNS_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"

namespace coppice::core {

// Purpose: changes of what a sweep's name stands for run one after the other: submissions and
// extensions, each of several transactions. Owner: the coordinator. Thread-safe.
class Turns {
 public:
  static constexpr size_t kMostWaiting = 16;  // for one name

  // Runs `work`, which ends with Next, once no other work of this name is running. False: too much
  // waits, and `work` never runs.
  bool Take(const std::string& name, std::function<void()> work) ABSL_LOCKS_EXCLUDED(mutex_);
  void Next(const std::string& name) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  absl::Mutex mutex_;
  // The work that waits behind each name in progress.
  absl::flat_hash_map<std::string, std::deque<std::function<void()>>> turns_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_TURNS_H_

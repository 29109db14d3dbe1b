#ifndef COPPICE_COORDINATOR_CORE_DISPATCH_TURN_BUDGET_H_
#define COPPICE_COORDINATOR_CORE_DISPATCH_TURN_BUDGET_H_

#include <cstddef>

namespace coppice::core {

// Purpose: limits the jobs that one turn of the writer may grant. Running work must end before more
// begins; otherwise an overloaded coordinator begins much and ends little. So a turn grants half as
// many jobs as it takes other commands, within the bounds below. (One command may hold the records
// of many jobs.) While more than a batch of commands waits, grants get a turn only now and then.
// Owner: the dispatcher. Threads: the writer thread alone.
class TurnBudget {
 public:
  static constexpr int kLongestWithoutGrants = 16;  // turns
  static constexpr size_t kMostJobs = 512;
  static constexpr size_t kFewestJobs = 128;

  // `others`: commands of this turn that do not ask for work. `backlog`: more than a batch waits.
  void BeginTurn(size_t others, bool backlog);
  // Returns the number of jobs that the turn may still grant.
  size_t left() const { return left_; }
  // The last pack may exceed what is left.
  void Take(size_t jobs) { left_ -= jobs < left_ ? jobs : left_; }

 private:
  int turns_without_grants_ = 0;
  size_t left_ = 0;
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_DISPATCH_TURN_BUDGET_H_

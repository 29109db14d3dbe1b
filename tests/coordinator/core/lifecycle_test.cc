#include "coordinator/core/lifecycle.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <utility>

namespace coppice::core {
namespace {

const JobState kStates[] = {JobState::kPending, JobState::kRunning, JobState::kSucceeded,
                            JobState::kFailed, JobState::kCancelled};
const JobTrigger kTriggers[] = {JobTrigger::kGrant,  JobTrigger::kComplete, JobTrigger::kFail,
                                JobTrigger::kGiveUp, JobTrigger::kRelease,  JobTrigger::kExpire,
                                JobTrigger::kCancel, JobTrigger::kRetry,    JobTrigger::kExtend};

// The lifecycle again, as a picture: a line for each state, a column for each trigger, '-' for a
// refusal.
TEST(Lifecycle, EveryPairOfStateAndTriggerLeadsWhereItShould) {
  const std::map<JobState, std::string> picture = {
      //                       grant complete fail giveup release expire cancel retry extend
      {JobState::kPending, "R-----C--"},    //
      {JobState::kRunning, "-SPFPPC-P"},    //
      {JobState::kSucceeded, "--------P"},  //
      {JobState::kFailed, "-------P-"},     //
      {JobState::kCancelled, "-------P-"},  //
  };
  const std::map<char, JobState> letters = {{'P', JobState::kPending},
                                            {'R', JobState::kRunning},
                                            {'S', JobState::kSucceeded},
                                            {'F', JobState::kFailed},
                                            {'C', JobState::kCancelled}};
  for (const JobState state : kStates) {
    for (size_t i = 0; i < std::size(kTriggers); ++i) {
      const char letter = picture.at(state)[i];
      const auto next = NextState(state, kTriggers[i]);
      SCOPED_TRACE(std::string(StateName(state)) + " " +
                   std::string(EventTypeText(EventOf(kTriggers[i]))));
      ASSERT_EQ(next.has_value(), letter != '-');
      if (next.has_value()) {
        EXPECT_EQ(*next, letters.at(letter));
      }
    }
  }
}

TEST(Lifecycle, NoPairComesTwice) {
  std::set<std::pair<JobState, JobTrigger>> pairs;
  for (const LifecycleRow& row : Lifecycle())
    EXPECT_TRUE(pairs.insert({row.state, row.trigger}).second);
}

TEST(Lifecycle, EveryStateAndTriggerHasItsOwnName) {
  std::set<std::string> names;
  for (const JobState state : kStates)
    EXPECT_TRUE(names.insert(std::string(StateName(state))).second);
  for (const JobTrigger trigger : kTriggers)
    EXPECT_TRUE(names.insert(std::string(EventTypeText(EventOf(trigger)))).second);
}

TEST(Lifecycle, OnlyPendingAndRunningJobsAreOpen) {
  for (const JobState state : kStates) {
    EXPECT_EQ(IsOpen(state), state == JobState::kPending || state == JobState::kRunning);
  }
}

}  // namespace
}  // namespace coppice::core

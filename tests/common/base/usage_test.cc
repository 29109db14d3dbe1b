// Misspelled flags and commands of the programs.
#include "common/base/usage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/nearest_word.h"

namespace coppice {
namespace {

TEST(UsageAdvice, NamesTheFlagThatWasMeant) {
  const UsageNames names{{"--seeds", "--steps", "--log-level"}, {"data", "measure"}, false};
  EXPECT_EQ(UsageAdvice(names, {"--sedes", "0-1"}), "; did you mean --seeds?");
  EXPECT_EQ(UsageAdvice(names, {"--steps", "5", "--log-lvel=info"}), "; did you mean --log-level?");
  EXPECT_EQ(UsageAdvice(names, {"--steps", "5"}), "");
  EXPECT_EQ(UsageAdvice(names, {"--frobnicate"}), "");
  EXPECT_EQ(UsageAdvice(names, {"--", "--sedes"}), "");
}

TEST(UsageAdvice, NamesTheCommandThatWasMeant) {
  const UsageNames names{{"--steps"}, {"data", "measure"}, false};
  EXPECT_EQ(UsageAdvice(names, {"mesure"}), "; did you mean 'measure'?");
  EXPECT_EQ(UsageAdvice(names, {"--steps", "mesure"}), "") << "that is a flag's value";
  const UsageNames switches{{"--insecure"}, {"backup"}, false, {"--insecure"}};
  EXPECT_EQ(UsageAdvice(switches, {"--insecure", "bakup"}), "; did you mean 'backup'?");
  UsageNames files = names;
  files.takes_words = true;
  EXPECT_EQ(UsageAdvice(files, {"mesure"}), "") << "that may be a file's name";
}

TEST(NearestWord, TakesAnAbbreviationBeforeAMisspelling) {
  EXPECT_EQ(NearestWord("check", {"chunk", "checkpoint"}), "checkpoint");
  EXPECT_EQ(NearestWord("tesne", {"question", "tense", "dyck"}), "tense");
  EXPECT_EQ(DidYouMeanTask("qustion"), " did you mean 'question'?");
  EXPECT_EQ(DidYouMeanTask("walk"), "");
}

}  // namespace
}  // namespace coppice

#include "coordinator/core/outcomes.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace coppice::core {
namespace {

// Checks the texts of the values from 0 to `last`.
template <typename Enum>
void ExpectBothWays(Enum last, absl::string_view (*text)(Enum),
                    std::optional<Enum> (*from_text)(absl::string_view)) {
  std::set<std::string> texts;
  for (int i = 0; i <= static_cast<int>(last); ++i) {
    const auto value = static_cast<Enum>(i);
    EXPECT_TRUE(texts.emplace(text(value)).second) << text(value) << " comes twice";
    EXPECT_EQ(from_text(text(value)), value) << text(value);
  }
  EXPECT_EQ(from_text("no such word"), std::nullopt);
}

TEST(Outcomes, EveryWordHasOneValueAndEveryValueOneWord) {
  ExpectBothWays(AttemptOutcome::kCancelled, &OutcomeText, &OutcomeFromText);
  ExpectBothWays(AttemptMark::kSuperseded, &MarkText, &MarkFromText);
  ExpectBothWays(EventType::kRetried, &EventTypeText, &EventTypeFromText);
}

}  // namespace
}  // namespace coppice::core

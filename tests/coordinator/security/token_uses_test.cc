#include "coordinator/security/token_uses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "common/base/files.h"
#include "common/base/secret_file.h"
#include "coordinator/security/token_registry.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/temp_dir.h"

namespace coppice::security {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

class Uses : public ::testing::Test {
 protected:
  Uses() {
    EXPECT_TRUE(table_.Add("alice", Role::kViewer, clock_.Now(), "alice-token").ok());
    EXPECT_TRUE(table_.Add("bob", Role::kOperator, clock_.Now(), "bob-token").ok());
    Write();
  }
  void Write() { EXPECT_TRUE(ReplaceSecretFile(path_, table_.Serialize()).ok()); }
  void Open() { registry_ = TokenRegistry::Open(path_, &clock_).value(); }
  void Use(const std::string& token) {
    registry_->table()->Find(token)->last_use->Note(clock_.Now());
  }
  void Pass(absl::Duration time) {
    registry_->Settle();
    for (; time > absl::ZeroDuration(); time -= absl::Seconds(2)) {
      clock_.Advance(absl::Seconds(2));
      registry_->Settle();
    }
  }
  std::map<std::string, absl::Time> Stored() {
    const auto uses = LoadTokenUses(path_);
    EXPECT_TRUE(uses.ok()) << uses.status();
    return uses.ok() ? uses->last : std::map<std::string, absl::Time>();
  }

  testing::FakeClock clock_;
  testing::TempDir dir_;
  const std::string path_ = dir_.Join("tokens");
  const absl::Time start_ = clock_.Now();
  TokenTable table_;
  std::unique_ptr<TokenRegistry> registry_;
};

TEST_F(Uses, AUseIsStoredWithinAMinuteAndOverlivesARestart) {
  Open();
  EXPECT_TRUE(Stored().empty());
  EXPECT_EQ(LoadTokenUses(path_)->since, start_);
  struct stat info = {};
  ASSERT_EQ(::stat(TokenUsesFile(path_).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  clock_.Advance(absl::Seconds(10));
  Use("alice-token");
  const absl::Time used = clock_.Now();
  Pass(absl::Seconds(20));
  EXPECT_TRUE(Stored().empty()) << "the disk is left alone for a minute";
  Pass(absl::Seconds(40));
  EXPECT_THAT(Stored(), ElementsAre(Pair("alice", used)));

  clock_.Advance(absl::Seconds(10));
  Use("bob-token");
  const absl::Time second = clock_.Now();
  registry_.reset();
  EXPECT_THAT(Stored(), ElementsAre(Pair("alice", used), Pair("bob", second))) << "at the end";
  clock_.Advance(absl::Hours(1));
  Open();
  EXPECT_THAT(Stored(), ElementsAre(Pair("alice", used), Pair("bob", second)));
  EXPECT_EQ(LoadTokenUses(path_)->since, start_);
}

TEST_F(Uses, AReadOfTheTableKeepsThemAndARevokedTokenVanishes) {
  Open();
  Use("alice-token");
  Use("bob-token");
  ASSERT_TRUE(table_.Remove("alice").ok());
  ASSERT_TRUE(table_.Add("carol", Role::kWorker, clock_.Now(), "carol-token").ok());
  Write();
  registry_->Reload();
  Pass(absl::Seconds(62));
  EXPECT_THAT(Stored(), ElementsAre(Pair("bob", start_)));
}

TEST_F(Uses, ANewTokenOfAnOldNameWasNotUsed) {
  Open();
  Use("alice-token");
  registry_.reset();
  ASSERT_TRUE(table_.Remove("alice").ok());
  clock_.Advance(absl::Hours(1));
  ASSERT_TRUE(table_.Add("alice", Role::kViewer, clock_.Now(), "another").ok());
  Write();
  Open();
  EXPECT_TRUE(Stored().empty());
}

TEST_F(Uses, ALostOrBrokenFileKeepsNobodyOut) {
  for (const char* text : {"alice", "alice yesterday\n", "-since 2026-01-01T00:00:00Z\n../x 1\n",
                           "\xff\xfe", "alice 2026-01-01T00:00:00Z\n"}) {
    ASSERT_TRUE(ReplaceSecretFile(TokenUsesFile(path_), text).ok());
    EXPECT_FALSE(LoadTokenUses(path_).ok()) << text;
    Open();
    EXPECT_TRUE(Stored().empty()) << "it begins anew";
    registry_.reset();
  }
  // A folder in place of the file cannot be replaced.
  ASSERT_TRUE(RemoveFile(TokenUsesFile(path_)).ok());
  ASSERT_EQ(::mkdir(TokenUsesFile(path_).c_str(), 0700), 0);
  Open();
  EXPECT_NE(registry_->table()->Find("alice-token"), nullptr);
}

TEST_F(Uses, ALinkInItsPlaceIsReplacedAndNotFollowed) {
  const std::string victim = dir_.Join("victim");
  ASSERT_TRUE(ReplaceSecretFile(victim, "precious").ok());
  ASSERT_EQ(::symlink(victim.c_str(), TokenUsesFile(path_).c_str()), 0);
  Open();
  EXPECT_EQ(ReadFile(victim).value(), "precious");
  EXPECT_TRUE(Stored().empty());
}

TEST_F(Uses, ManyThreadsNoteAtOnce) {
  Open();
  const auto table = registry_->table();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int k = 0; k < 10000; ++k) {
        table->Find("bob-token")->last_use->Note(start_ + absl::Seconds(i));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const absl::Time when = table->Find("bob-token")->last_use->when();
  EXPECT_GE(when, start_);
  EXPECT_LE(when, start_ + absl::Seconds(3));
}

}  // namespace
}  // namespace coppice::security

#include "coordinator/security/token_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/files.h"
#include "common/base/secret_file.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/temp_dir.h"

namespace coppice::security {
namespace {

using ::testing::HasSubstr;

class Registry : public ::testing::Test {
 protected:
  Registry() {
    EXPECT_TRUE(table_.Add("alice", Role::kViewer, clock_.Now(), "alice-token").ok());
    EXPECT_TRUE(table_.Add("bob", Role::kOperator, clock_.Now(), "bob-token").ok());
    Write();
  }
  void Write() { EXPECT_TRUE(ReplaceSecretFile(path_, table_.Serialize()).ok()); }
  // Lets the registry check its file.
  void Check() {
    registry_->Settle();
    clock_.Advance(absl::Seconds(5));
    registry_->Settle();
  }
  void Open() {
    registry_ = TokenRegistry::Open(path_, &clock_).value();
    registry_->OnRevoked([this] { ++revocations_; });
  }

  testing::FakeClock clock_;
  testing::TempDir dir_;
  const std::string path_ = dir_.Join("tokens");
  TokenTable table_;
  std::unique_ptr<TokenRegistry> registry_;
  int revocations_ = 0;
};

TEST_F(Registry, AChangedFileIsNoticedWithoutASignal) {
  Open();
  EXPECT_NE(registry_->table()->Find("alice-token"), nullptr);
  ASSERT_TRUE(table_.Add("carol", Role::kWorker, clock_.Now(), "carol-token").ok());
  Write();
  Check();
  EXPECT_NE(registry_->table()->Find("carol-token"), nullptr);
  EXPECT_EQ(revocations_, 0);
  ASSERT_TRUE(table_.Remove("alice").ok());
  Write();
  Check();
  EXPECT_EQ(registry_->table()->Find("alice-token"), nullptr);
  EXPECT_NE(registry_->table()->Find("bob-token"), nullptr);
  EXPECT_EQ(revocations_, 1);
  Check();
  EXPECT_EQ(revocations_, 1) << "told once";
}

TEST_F(Registry, AFileThatCannotBeReadLocksNobodyOut) {
  Open();
  ASSERT_TRUE(ReplaceSecretFile(path_, "garbage\n").ok());
  registry_->Reload();
  EXPECT_NE(registry_->table()->Find("alice-token"), nullptr);
  Write();
  ::chmod(path_.c_str(), 0644);
  registry_->Reload();
  EXPECT_NE(registry_->table()->Find("bob-token"), nullptr);
  ASSERT_TRUE(RemoveFile(path_).ok());
  registry_->Reload();
  EXPECT_NE(registry_->table()->Find("bob-token"), nullptr);
  EXPECT_EQ(revocations_, 0);
}

TEST_F(Registry, ATableThatWasEmptiedLocksNobodyOut) {
  Open();
  ASSERT_TRUE(ReplaceSecretFile(path_, "# nobody\n").ok());
  registry_->Reload();
  EXPECT_NE(registry_->table()->Find("alice-token"), nullptr);
  EXPECT_NE(registry_->table()->Find("bob-token"), nullptr);
  EXPECT_EQ(revocations_, 0);
}

TEST_F(Registry, ATableWhereOthersCouldPutAnotherInItsPlaceIsRefused) {
  for (const mode_t mode : {0770, 0707}) {
    ::chmod(dir_.path().c_str(), mode);
    const absl::Status open = TokenRegistry::Open(path_, &clock_).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(open)) << open;
    EXPECT_THAT(std::string(open.message()), HasSubstr("chmod go-w"));
  }
  // Like /tmp: everybody may make files, but nobody may replace another's.
  ::chmod(dir_.path().c_str(), 01777);
  EXPECT_TRUE(TokenRegistry::Open(path_, &clock_).ok());
  // With a link, the checks apply to the link's folder and the target's.
  testing::TempDir closed;
  ASSERT_EQ(::symlink(path_.c_str(), closed.Join("tokens").c_str()), 0);
  EXPECT_TRUE(TokenRegistry::Open(closed.Join("tokens"), &clock_).ok());
  ::chmod(dir_.path().c_str(), 0777);
  EXPECT_TRUE(
      absl::IsFailedPrecondition(TokenRegistry::Open(closed.Join("tokens"), &clock_).status()));
  ::chmod(dir_.path().c_str(), 0700);
}

TEST_F(Registry, ATableOfAnotherAccountIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only the superuser can give a file away";
  ASSERT_EQ(::chown(path_.c_str(), 12345, 12345), 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(TokenRegistry::Open(path_, &clock_).status()));
  ASSERT_EQ(::chown(path_.c_str(), 0, 0), 0);
  ASSERT_EQ(::chown(dir_.path().c_str(), 12345, 12345), 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(TokenRegistry::Open(path_, &clock_).status()));
  ASSERT_EQ(::chown(dir_.path().c_str(), 0, 0), 0);
}

TEST_F(Registry, AStartWithATableThatOthersCanReadOrThatIsEmptyIsRefused) {
  ::chmod(path_.c_str(), 0644);
  const absl::Status open = TokenRegistry::Open(path_, &clock_).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(open));
  EXPECT_THAT(std::string(open.message()), HasSubstr("chmod 600"));
  ASSERT_TRUE(ReplaceSecretFile(path_, "# nobody\n").ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(TokenRegistry::Open(path_, &clock_).status()));
  ASSERT_TRUE(RemoveFile(path_).ok());
  const absl::Status gone = TokenRegistry::Open(path_, &clock_).status();
  EXPECT_TRUE(absl::IsNotFound(gone));
  EXPECT_THAT(std::string(gone.message()), HasSubstr("init-tls"));
}

}  // namespace
}  // namespace coppice::security

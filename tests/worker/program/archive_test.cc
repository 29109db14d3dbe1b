// Folders that become one file and come back.
#include "worker/program/archive.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/digest.h"
#include "common/base/files.h"
#include "tests/testing/temp_dir.h"

namespace coppice::worker {
namespace {

using ::testing::HasSubstr;

class ArchiveTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& content) {
    const std::filesystem::path path = dir_.Join(name);
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
  }
  absl::StatusOr<Archived> Save(const std::string& folder, const std::string& archive) {
    const auto opened = Directory::Open(dir_.Join(folder));
    if (!opened.ok()) return opened.status();
    return WriteArchive(*opened, dir_.Join(archive));
  }
  absl::Status Load(const std::string& archive, const std::string& folder) {
    std::filesystem::create_directories(dir_.Join(folder));
    const auto opened = Directory::Open(dir_.Join(folder));
    if (!opened.ok()) return opened.status();
    return ReadArchive(dir_.Join(archive), *opened);
  }
  std::string Refusal(const std::string& folder) {
    const auto saved = Save(folder, "refused.tar");
    EXPECT_TRUE(absl::IsInvalidArgument(saved.status())) << saved.status();
    EXPECT_FALSE(FileExists(dir_.Join("refused.tar")));
    return std::string(saved.status().message());
  }

  testing::TempDir dir_;
};

TEST_F(ArchiveTest, AFolderComesBackAsItWas) {
  const std::string large(3 << 20, 'x');
  Write("from/a", "first");
  Write("from/deep/er/b", "");
  Write("from/deep/c", large + "end");
  Write("from/" + std::string(90, 'n') + "/" + std::string(90, 'm'), "long");
  const auto saved = Save("from", "folder.tar");
  ASSERT_TRUE(saved.ok()) << saved.status();
  EXPECT_EQ(saved->bytes, *FileSize(dir_.Join("folder.tar")));
  EXPECT_EQ(saved->digest, *DigestOfFile(dir_.Join("folder.tar")));
  ASSERT_EQ(Load("folder.tar", "to"), absl::OkStatus());
  EXPECT_EQ(*ReadFile(dir_.Join("to/a")), "first");
  EXPECT_EQ(*ReadFile(dir_.Join("to/deep/er/b")), "");
  EXPECT_EQ(*ReadFile(dir_.Join("to/deep/c")), large + "end");
  EXPECT_EQ(*ReadFile(dir_.Join("to/" + std::string(90, 'n') + "/" + std::string(90, 'm'))),
            "long");
}

// A job that is computed twice gives the same checkpoint, whatever the clock says and in whatever
// order its files were made.
TEST_F(ArchiveTest, TheBytesDependOnNamesAndContentsAlone) {
  Write("one/a", "1");
  Write("one/b", "2");
  Write("two/b", "2");
  Write("two/a", "1");
  ::chmod(dir_.Join("two/a").c_str(), 0600);
  const timespec times[2] = {{1, 0}, {1, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, dir_.Join("two/b").c_str(), times, 0), 0);
  EXPECT_EQ(Save("one", "one.tar")->digest, Save("two", "two.tar")->digest);
  Write("two/a", "3");
  EXPECT_NE(Save("one", "one.tar")->digest, Save("two", "two.tar")->digest);
}

TEST_F(ArchiveTest, TarReadsIt) {
  Write("from/sub/file", "content");
  ASSERT_TRUE(Save("from", "folder.tar").ok());
  const std::string command = absl::StrCat("mkdir ", dir_.Join("to"), " && tar -xf ",
                                           dir_.Join("folder.tar"), " -C ", dir_.Join("to"));
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(*ReadFile(dir_.Join("to/sub/file")), "content");
}

TEST_F(ArchiveTest, OnlyFilesAndFoldersAreSaved) {
  Write("link/file", "x");
  ASSERT_EQ(::symlink("/etc/passwd", dir_.Join("link/secret").c_str()), 0);
  EXPECT_THAT(Refusal("link"), HasSubstr("secret is a symbolic link"));
  Write("pipe/file", "x");
  ASSERT_EQ(::mkfifo(dir_.Join("pipe/p").c_str(), 0600), 0);
  EXPECT_THAT(Refusal("pipe"), HasSubstr("neither a file nor a folder"));
  std::filesystem::create_directories(dir_.Join("empty/sub"));
  EXPECT_THAT(Refusal("empty"), HasSubstr("has no file in it"));
  std::string deep = "deep";
  for (int i = 0; i < kMaxArchiveDepth + 1; ++i) deep += "/d";
  Write(deep + "/file", "x");
  EXPECT_THAT(Refusal("deep"), HasSubstr("deeper than"));
  Write("long/" + std::string(120, 'n'), "x");
  EXPECT_THAT(Refusal("long"), HasSubstr("too long a name"));
}

// The header that Coppice never writes: an archive that was made to escape.
std::string HostileEntry(const std::string& name, char type, const std::string& link = "") {
  std::string block(512, '\0');
  block.replace(0, name.size(), name);
  block.replace(100, 7, "0000644");
  block.replace(108, 7, "0000000");
  block.replace(116, 7, "0000000");
  block.replace(124, 11, "00000000000");
  block.replace(136, 11, "00000000000");
  block.replace(148, 8, "        ");
  block[156] = type;
  block.replace(157, link.size(), link);
  block.replace(257, 5, "ustar");
  block.replace(263, 2, "00");
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  char text[8];
  std::snprintf(text, sizeof(text), "%07o", sum);
  block.replace(148, 8, text, 8);
  return block;
}

TEST_F(ArchiveTest, NothingLeavesTheFolder) {
  const std::string end(1024, '\0');
  Write("outside", "mine");
  const std::vector<std::string> archives = {
      HostileEntry("../outside", '0') + end,
      HostileEntry("/etc/outside", '0') + end,
      HostileEntry("a/../../outside", '0') + end,
      HostileEntry("link", '2', "..") + HostileEntry("link/outside", '0') + end,
      HostileEntry("hard", '1', "../outside") + end,
      HostileEntry("device", '3') + end,
      HostileEntry("missing/file", '0') + end,
      HostileEntry("twice", '0') + HostileEntry("twice", '0') + end,
      HostileEntry("no-end", '0'),
      std::string(512, 'x'),
      "",
  };
  for (size_t i = 0; i < archives.size(); ++i) {
    Write("hostile.tar", archives[i]);
    const absl::Status status = Load("hostile.tar", absl::StrCat("to", i));
    EXPECT_TRUE(absl::IsDataLoss(status)) << i << ": " << status;
  }
  EXPECT_EQ(*ReadFile(dir_.Join("outside")), "mine");
}

TEST_F(ArchiveTest, AFlippedHeaderByteIsNoticed) {
  Write("from/a", "first");
  ASSERT_TRUE(Save("from", "good.tar").ok());
  const std::string good = *ReadFile(dir_.Join("good.tar"));
  for (size_t i = 0; i < 512; i += 5) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x15);
    Write("bad.tar", bad);
    EXPECT_TRUE(absl::IsDataLoss(Load("bad.tar", absl::StrCat("to", i)))) << i;
  }
}

}  // namespace
}  // namespace coppice::worker

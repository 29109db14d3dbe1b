#include "common/base/printable.h"

#include <gtest/gtest.h>

#include "common/base/build_info.h"
#include "common/base/files.h"
#include "common/base/logging.h"
#include "tests/testing/temp_dir.h"

namespace coppice {
namespace {

TEST(Printable, LeavesOrdinaryTextAlone) {
  for (const char* text :
       {"", "node-1", "a\nb\tc", "Schöne Größe", "层", "✓ ▶", "\xF0\x9F\x8C\xB1"}) {
    EXPECT_EQ(Printable(text), text);
  }
  EXPECT_TRUE(IsPrintable("Schöne Größe 层 \xF0\x9F\x8C\xB1"));
  EXPECT_FALSE(IsPrintable("a\nb"));
  EXPECT_FALSE(IsPrintable("a\tb"));
}

TEST(Printable, TakesEverythingAwayThatDrivesATerminal) {
  EXPECT_EQ(Printable("a\x1b[2Jb\r\nc\td"), "a [2Jb \nc\td");
  EXPECT_EQ(Printable(absl::string_view("a\0b\x07\x7f", 5)), "a b  ");
  // U+009B is CSI and U+009D is OSC, as UTF-8 and as the single byte of an old terminal.
  EXPECT_EQ(Printable("\xC2\x9B"
                      "31m \xC2\x9D"
                      "0;t\x9C \x9B"
                      "2J \xC2\x80 \xC2\x9F"),
            "?31m ?0;t? ?2J ? ?");
  EXPECT_EQ(Printable("\xC2\xA0"), "\xC2\xA0") << "U+00A0 is no control";
}

TEST(Printable, TakesAwayWhatTurnsTheReadingDirection) {
  for (const char* mark : {"\u061C", "\u200E", "\u200F", "\u2028", "\u2029", "\u202A", "\u202B",
                           "\u202C", "\u202D", "\u202E", "\u2066", "\u2067", "\u2068", "\u2069"}) {
    EXPECT_EQ(Printable(std::string("a") + mark + "b"), "a?b");
    EXPECT_FALSE(IsPrintable(mark));
  }
  EXPECT_EQ(Printable("\u2027\u202F\u2065\u206A"), "\u2027\u202F\u2065\u206A");
}

TEST(Printable, EveryByteThatIsNoUtf8IsOneMark) {
  EXPECT_EQ(Printable("\xFF\xFE"), "??");
  EXPECT_EQ(Printable("\xC3"), "?") << "cut short";
  EXPECT_EQ(Printable("\xC3("), "?(");
  EXPECT_EQ(Printable("\xC0\xAF"), "??") << "overlong";
  EXPECT_EQ(Printable("\xE0\x80\xAF"), "???") << "overlong";
  EXPECT_EQ(Printable("\xED\xA0\x80"), "???") << "a surrogate";
  EXPECT_EQ(Printable("\xF4\x90\x80\x80"), "????") << "past U+10FFFF";
}

TEST(PrintableLine, HasOneLine) { EXPECT_EQ(PrintableLine("a\nb\tc\x1b"), "a b c "); }

TEST(Log, AMessageCannotForgeALineOrDriveTheTerminal) {
  testing::TempDir dir;
  ASSERT_TRUE(InitLogging("tester", "info", dir.Join("log")).ok());
  spdlog::info("worker {} came",
               "w\x1b]0;t\x07\n2026-01-01T00:00:00.000Z info  [tester] token added");
  const std::string log = ReadFile(dir.Join("log")).value();
  EXPECT_EQ(log.find('\x1b'), std::string::npos);
  EXPECT_NE(log.find("came"), std::string::npos) << log;
  EXPECT_EQ(log.find("\n2026-01-01"), std::string::npos) << log;
  EXPECT_NE(log.find("\n    2026-01-01"), std::string::npos) << log;
}

TEST(BuildInfo, TheVersionNamesTheCommit) {
  EXPECT_EQ(VersionText(), std::string(COPPICE_VERSION) + " (unknown)");
  SetCommit("0123456789ab");
  EXPECT_EQ(ProgramVersion("coppice-worker"),
            std::string("coppice-worker ") + COPPICE_VERSION + " (0123456789ab)");
  SetCommit("unknown");
}

}  // namespace
}  // namespace coppice

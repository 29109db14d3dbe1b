#include "common/base/file_names.h"

#include <gtest/gtest.h>

namespace coppice {
namespace {

TEST(FileNamesTest, OnlyTheWholePatternFits) {
  EXPECT_TRUE(NameFits("job-12-attempt-3.json", "job-#-attempt-#.json"));
  EXPECT_TRUE(NameFits("00ff.json", "%.json"));
  for (const char* name :
       {"", "job--attempt-3.json", "job-1-attempt-3.json.bak", "xjob-1-attempt-3.json",
        "job-1-attempt-3", "job-1x-attempt-3.json", "job--1-attempt-3.json"}) {
    EXPECT_FALSE(NameFits(name, "job-#-attempt-#.json")) << name;
  }
  EXPECT_FALSE(NameFits("00FF.json", "%.json"));
  EXPECT_FALSE(NameFits("settings.json", "%.json"));
}

TEST(FileNamesTest, CheckpointsAreKnownWholeAndHalfWrittenAndNothingElseIs) {
  for (const char* name :
       {"step-000000100.safetensors", "step-5.safetensors.tmp-77-0", "step-60.tmp-77-0", "step-20",
        "step-20.tmp-00ffab12", "resume-attempt-3-step-100.safetensors",
        "resume-epoch-3-step-100.safetensors", "step-000000100.tar", "step-1.file",
        "step-1.file.pt", "step-1.file.pt.tmp-7-0", "resume-attempt-3-step-100.file.keras",
        "resume-attempt-3-step-100.tar"}) {
    EXPECT_TRUE(IsCheckpointFileName(name)) << name;
  }
  for (const char* name : {"step-", "step", "model.safetensors", "step-1.pt", "step-1.safetensors~",
                           "best-step-1.safetensors", "step-1.safetensors.tmp-", "events.out",
                           "step-1.file.", "step-1.file.a.b", "step-1.tar.gz"}) {
    EXPECT_FALSE(IsCheckpointFileName(name)) << name;
  }
  EXPECT_TRUE(IsCheckpointArchiveName("step-1.tar"));
  EXPECT_TRUE(IsCheckpointArchiveName("resume-attempt-3-step-1.tar"));
  EXPECT_FALSE(IsCheckpointArchiveName("step-1.file.tar")) << "a program's own file";
  EXPECT_TRUE(IsAttemptFolderName("attempt-7"));
  EXPECT_TRUE(IsAttemptFolderName("epoch-7")) << "an earlier version's";
  EXPECT_FALSE(IsAttemptFolderName("attempt-7.bak"));
}

}  // namespace
}  // namespace coppice

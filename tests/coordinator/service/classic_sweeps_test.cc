// The shipped sweeps as they were before grids had other axes than task, depth and seed. Their
// stored specs, runs and names must not change by a byte: stored sweeps would no longer be the
// same ones, and checkpoints would belong to other runs.
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "cli/spec_reader.h"
#include "common/base/digest.h"
#include "common/spec/axes.h"
#include "coordinator/service/convert.h"

namespace coppice::service {
namespace {

struct Digests {
  const char* file;
  size_t jobs;
  const char* blob;
  const char* runs;   // the run JSON of each group, one a line
  const char* names;  // of each job, one a line
};

void PrintTo(const Digests& digests, std::ostream* out) { *out << digests.file; }

std::string DigestOfText(const std::string& text) { return DigestOf(text.data(), text.size()); }

class ClassicSweep : public ::testing::TestWithParam<Digests> {};

TEST_P(ClassicSweep, IsWhatItAlwaysWas) {
  const Digests& before = GetParam();
  const auto file = cli::ReadSpecFile(absl::StrCat(COPPICE_SWEEPS_DIR, "/", before.file));
  ASSERT_TRUE(file.ok()) << file.status();
  const auto spec = SweepSpecFromProto(file->spec);
  ASSERT_TRUE(spec.ok()) << spec.status();
  std::string runs, names;
  size_t jobs = 0;
  for (const core::GroupSpec& group : spec->groups) {
    EXPECT_TRUE(group.point.empty());
    absl::StrAppend(&runs, group.run_json, "\n");
    for (const uint32_t seed : spec->seeds) {
      absl::StrAppend(&names, spec->name, "/", spec::JobText({}, group.task, group.depth, seed),
                      "\n");
      ++jobs;
    }
  }
  EXPECT_EQ(jobs, before.jobs);
  EXPECT_EQ(DigestOfText(spec->spec_blob), before.blob);
  EXPECT_EQ(DigestOfText(runs), before.runs);
  EXPECT_EQ(DigestOfText(names), before.names);
}

INSTANTIATE_TEST_SUITE_P(
    Shipped, ClassicSweep,
    ::testing::Values(
        Digests{"demo.yaml", 12, "7d554eaac32f11d360211ad1249ab77d",
                "c8b642cd5e79eced8d94dccdc60b1bf7", "73e278e8318463c086ecb5fc3f088316"},
        Digests{"laptop.yaml", 9, "0f62e854ec18bbc6b6d9f496f1cf2e28",
                "bdc00a6773fd6228be2d50c11da6f8fe", "62cb9ecf4b390c8d5b9be2380954ce3e"},
        Digests{"paper.yaml", 150, "78ae8fd26233e016739d3a6a172fe046",
                "c1c766d1c087784da36534337a832cc3", "bad755b73305702f610dce90be5b564b"}),
    [](const auto& info) {
      const std::string file = info.param.file;
      return file.substr(0, file.find('.'));
    });

}  // namespace
}  // namespace coppice::service

#include "cli/spec_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/testing/temp_dir.h"

namespace coppice::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kGood[] = R"(name: demo
tasks: [question, dyck]
depths: [2, 4]
seeds: 0-2
model: {d_model: 64, heads: 4}
train:
  steps: 300
  learning_rate: 1e-3
)";

std::string Message(const std::string& text) {
  const absl::StatusOr<SpecFile> spec = ParseSpec(text, "f.yaml");
  if (spec.ok()) return "";
  EXPECT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(spec.status().message());
}

TEST(SpecReader, ReadsEverySetting) {
  const absl::StatusOr<SpecFile> file = ParseSpec(R"(
name: all
tasks: question
depths: 3
seeds: [0-3, 7, 10-11]
model: {d_model: 32, heads: 2, d_ff: 64, dropout: 0}
train: {steps: 9, batch_size: 2, learning_rate: .5, warmup_steps: 0, lr_decay_steps: 10, beta1: 0.8, beta2: 0.95,
        epsilon: 1e-9, weight_decay: 0.01, clip_norm: 2, precision: "float32"}
data: {seed: 5, train: 10, val: 11, test: 12, gen: 13, directory: '/data'}
report: {every: 3, decode_sentences: 4, dyck_prefixes: 5, probes: {sentences: 0, every: 2}}
checkpoint: {every: 6, keep: 3, keep_every: 9}
overrides:
  - where: {task: [question], depth: 3}
    train: {steps: 8}
priority: -5
max_failures: 7
)",
                                                  "f.yaml");
  ASSERT_TRUE(file.ok()) << file.status();
  const v1::SweepSpec& spec = file->spec;
  EXPECT_THAT(spec.seeds(), ElementsAre(0, 1, 2, 3, 7, 10, 11));
  EXPECT_THAT(spec.tasks(), ElementsAre("question"));
  EXPECT_THAT(spec.depths(), ElementsAre(3));
  EXPECT_EQ(spec.model().dropout(), 0);
  EXPECT_TRUE(spec.model().has_dropout()) << "an explicit zero is not a missing value";
  EXPECT_EQ(spec.train().learning_rate(), 0.5);
  EXPECT_EQ(spec.train().epsilon(), 1e-9);
  EXPECT_EQ(spec.train().precision(), "float32");
  EXPECT_EQ(spec.data().directory(), "/data");
  EXPECT_EQ(spec.report().probes().every(), 2);
  EXPECT_EQ(spec.checkpoint().keep_every(), 9);
  EXPECT_EQ(spec.overrides(0).where().depth(0), 3);
  EXPECT_EQ(spec.overrides(0).train().steps(), 8);
  EXPECT_EQ(spec.priority(), -5);
  EXPECT_EQ(spec.max_failures(), 7);
  EXPECT_FALSE(ParseSpec(kGood, "f.yaml")->spec.model().has_dropout());
}

TEST(SpecReader, SharesSettingsThroughAnchors) {
  const absl::StatusOr<SpecFile> file = ParseSpec(absl::StrCat(kGood, R"(overrides:
  - where: {task: dyck}
    data: &sizes {train: 10, val: 5}
  - where: {task: question}
    data: *sizes
)"),
                                                  "f.yaml");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->spec.overrides(1).data().train(), 10);
}

TEST(SpecReader, LocatesFieldsAndWhatIsAroundAMissingOne) {
  const absl::StatusOr<SpecFile> file = ParseSpec(kGood, "f.yaml");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->Locate("name"), "f.yaml:1:7");
  EXPECT_EQ(file->Locate("train.steps"), "f.yaml:7:10");
  EXPECT_EQ(file->Locate("depths[1]"), "f.yaml:3:13");
  EXPECT_EQ(file->Locate("seeds[2]"), "f.yaml:4:8");
  EXPECT_EQ(file->Locate("train.beta1"), "f.yaml:7:3") << "the settings around it";
  EXPECT_EQ(file->Locate("checkpoint.every"), "f.yaml:1:1");
}

struct BadCase {
  std::string name;
  std::string from;  // replaced in kGood; empty: appended
  std::string to;
  std::string place;
  std::string message;
};

class BadFile : public ::testing::TestWithParam<BadCase> {};

TEST_P(BadFile, IsRefusedWithItsPlaceAndARemedy) {
  const BadCase& bad = GetParam();
  std::string text = kGood;
  if (bad.from.empty()) {
    text += bad.to;
  } else {
    ASSERT_NE(text.find(bad.from), std::string::npos);
    text.replace(text.find(bad.from), bad.from.size(), bad.to);
  }
  const std::string message = Message(text);
  EXPECT_THAT(message, HasSubstr(absl::StrCat("f.yaml:", bad.place, ": "))) << text;
  EXPECT_THAT(message, HasSubstr(bad.message)) << text;
}

INSTANTIATE_TEST_SUITE_P(
    Each, BadFile,
    ::testing::Values(
        BadCase{"MisspeltKey", "  steps:", "  stesp:", "7:3",
                "unknown key 'stesp' in train; did you mean 'steps'?"},
        BadCase{"MisspeltTopKey", "depths:", "depth:", "3:1", "did you mean 'depths'?"},
        BadCase{"KeyInTheWrongPlace", "", "steps: 4\n", "9:1", "it belongs at train.steps"},
        // A key is advised to move only if it means the same there.
        BadCase{"SeedForSeeds", "seeds:", "seed:", "4:1", "did you mean 'seeds'?"},
        BadCase{"SeedOfTraining", "steps: 300", "seed: 3", "7:3",
                "the runs' seeds are `seeds` of the sweep, that of the data sets is data.seed"},
        BadCase{"SeedInWhere", "", "overrides: [{where: {seed: 3}, model: {heads: 1}}]\n", "9:22",
                "`where` chooses by task and depth, since jobs that differ only in seed have the "
                "same settings; for a seed with settings of its own submit a sweep of its own"},
        BadCase{"TasksInWhere", "", "overrides: [{where: {tasks: x}, model: {heads: 1}}]\n", "9:22",
                "did you mean 'task'? `where` chooses by task and depth"},
        BadCase{"StepsInWhere", "", "overrides: [{where: {steps: 3}, model: {heads: 1}}]\n", "9:22",
                "`where` chooses by task and depth, for example"},
        BadCase{"KeyInTheWrongPlaceOfAnOverride", "",
                "overrides: [{where: {depth: 2}, steps: 30}]\n", "9:33",
                "it belongs at overrides[0].train.steps"},
        BadCase{"KeyOfTheWholeSweepInAnOverride", "", "overrides: [{priority: 3}]\n", "9:14",
                "`priority` holds for the whole sweep"},
        BadCase{"KeyOfSeveralPlaces", "", "every: 100\n", "9:1",
                "did you mean report.every, report.probes.every or checkpoint.every?"},
        BadCase{"StepsForEvery", "", "report: {steps: 100}\n", "9:10", "did you mean 'every'?"},
        BadCase{"KeyFromNowhere", "", "frobnicate: 4\n", "9:1", "use one of: name, tasks"},
        BadCase{"MergeKey", "", "<<: {a: b}\n", "9:1", "merge keys"},
        BadCase{"KeyTwice", "", "name: other\n", "9:1",
                "name stands here a second time (first in line 1); remove one"},
        BadCase{"KeyTwiceInside", "heads: 4", "heads: 4, heads: 2", "5:32",
                "model.heads stands here a second time"},
        BadCase{"KeyIsAList", "", "[a, b]: 4\n", "9:1", "has a key that is no word"},
        BadCase{"WordForNumber", "steps: 300", "steps: many", "7:10",
                "train.steps is 'many', not a whole number; use digits"},
        BadCase{"PowerOfTen", "steps: 300", "steps: 3e5", "7:10", "write 300000"},
        BadCase{"Underscore", "steps: 300", "steps: 300_000", "7:10", "write 300000"},
        BadCase{"Fraction", "steps: 300", "steps: 1.5", "7:10", "not a whole number"},
        BadCase{"Octal", "steps: 300", "steps: 010", "7:10", "write 10"},
        BadCase{"Hexadecimal", "steps: 300", "steps: 0x10", "7:10", "not a whole number"},
        BadCase{"Quoted", "steps: 300", "steps: '300'", "7:10", "without quotes"},
        BadCase{"Negative", "steps: 300", "steps: -1", "7:10", "from 0 to 4294967295"},
        BadCase{"TooLarge", "steps: 300", "steps: 4294967296", "7:10", "from 0 to 4294967295"},
        BadCase{"FarTooLarge", "steps: 300", "steps: 99999999999999999999999", "7:10",
                "from 0 to 4294967295"},
        BadCase{"NumberIsNan", "learning_rate: 1e-3", "learning_rate: .nan", "8:18",
                "not a finite number"},
        BadCase{"NumberIsInfinite", "learning_rate: 1e-3", "learning_rate: .inf", "8:18",
                "not a finite number"},
        BadCase{"NumberOverflows", "learning_rate: 1e-3", "learning_rate: 1e999", "8:18",
                "not a finite number"},
        BadCase{"NumberIsAWord", "learning_rate: 1e-3", "learning_rate: fast", "8:18",
                "use one like 0.1 or 1e-4"},
        BadCase{"ListForNumber", "steps: 300", "steps: [1, 2]", "7:10",
                "train.steps is a list; use a whole number"},
        BadCase{"MapForNumber", "steps: 300", "steps: {a: 1}", "7:10",
                "is a map; use a whole number"},
        BadCase{"ScalarForSettings", "model: {d_model: 64, heads: 4}", "model: 64", "5:8",
                "model is a single value; give it settings"},
        BadCase{"NoValue", "name: demo", "name:", "1:1", "name has no value"},
        BadCase{"NoSettings", "", "data:\n", "9:1", "data has no value"},
        BadCase{"NestedList", "depths: [2, 4]", "depths: [[2], 4]", "3:10",
                "depths[0] is a list; use a whole number"},
        BadCase{"MapInList", "depths: [2, 4]", "depths: [2, {a: 1}]", "3:13", "depths[1] is a map"},
        BadCase{"NullInList", "depths: [2, 4]", "depths: [2, ~]", "3:13", "depths[1] has no value"},
        BadCase{"RangeOfDepths", "depths: [2, 4]", "depths: 2-4", "3:9",
                "depths is '2-4', not a whole number"},
        BadCase{"BackwardRange", "seeds: 0-2", "seeds: 5-2", "4:8", "which is empty; write 2-5"},
        BadCase{"HalfRange", "seeds: 0-2", "seeds: 5-", "4:8", "not a whole number"},
        BadCase{"HugeRange", "seeds: 0-2", "seeds: 0-4294967295", "4:8",
                "makes 4294967296 seeds; use at most 1000000"},
        BadCase{"RangeBeyondSeeds", "seeds: 0-2", "seeds: 0-4294967296", "4:8",
                "seeds end at 4294967295"},
        BadCase{"RangesThatAddUp", "seeds: 0-2", "seeds: [0-999999, 1000000]", "4:8",
                "1000001 seeds"},
        BadCase{"OverridesIsAMap", "", "overrides: {train: {steps: 1}}\n", "9:12",
                "use a list, each entry after a dash"},
        BadCase{"OverrideIsAWord", "", "overrides: [x]\n", "9:13",
                "overrides[0] is a single value"},
        BadCase{"Tag", "steps: 300", "steps: !!str 300", "7:10", "has the tag"},
        BadCase{"Tab", "  steps", "\tsteps", "7:7", "not YAML"},
        BadCase{"Unclosed", "[2, 4]", "[2, 4", "4:6", "not YAML"},
        BadCase{"TwoDocuments", "", "---\nname: b\n", "9:1", "a second document starts here"},
        BadCase{"UnknownAnchor", "[2, 4]", "*here", "3:9", "not YAML"},
        // Errors of the spec library are reported with their place in the file.
        BadCase{"DepthZero", "depths: [2, 4]", "depths: [2, 0]", "3:13",
                "depths[1] is 0; use a whole number from 1 to 256"},
        BadCase{"HeadsDoNotDivide", "heads: 4", "heads: 5", "5:29",
                "model.heads does not fit: 5 heads do not divide a d_model of 64"},
        BadCase{"NoTasks", "tasks: [question, dyck]", "tasks: []", "2:8",
                "tasks is missing or empty"},
        BadCase{"NoDepths", "depths: [2, 4]\n", "", "1:1", "depths is missing or empty"},
        BadCase{"NameWithSpace", "name: demo", "name: my demo", "1:7", "name is not a sweep name"},
        BadCase{"SeedTwice", "seeds: 0-2", "seeds: [0-2, 1]", "4:14", "names 1 a second time"},
        BadCase{"WhereOutsideTheGrid", "",
                "overrides:\n  - where: {depth: 3}\n    train: {steps: 2}\n", "10:20",
                "overrides[0].where.depth[0] is 3, which is not one of the sweep's depths"}),
    [](const auto& info) { return info.param.name; });

// Each setting is in its range, but a trainer cannot train with them together.
TEST(SpecReader, ARunThatItsTrainerWouldRefuseIsRefusedByNameAndLine) {
  const std::string head =
      "name: small\ntasks: question\ndepths: 1\nseeds: 0\nmodel: {d_model: 32}\n";
  EXPECT_EQ(Message(head + "data: {train: 6000}\ntrain: {batch_size: 5000}\n"),
            "f.yaml:7:21: train.batch_size is 5000; use a whole number from 1 to 4096");
  EXPECT_EQ(
      Message(head + "train: {warmup_steps: 3000, lr_decay_steps: 2000}\n"),
      "f.yaml:6:45: train.lr_decay_steps makes the learning rate reach 0 at step 2000, before "
      "the warm-up of 3000 steps ends (task question, depth 1); use a train.lr_decay_steps "
      "above train.warmup_steps");
  EXPECT_EQ(Message(head + "train: {batch_size: 64}\ndata: {train: 20}\n"),
            "f.yaml:6:21: train.batch_size makes a batch of 64 out of 20 training sentences (task "
            "question, depth 1); use a train.batch_size of at most data.train");
  EXPECT_EQ(Message(head + "train: {batch_size: 0}\n"),
            "f.yaml:6:21: train.batch_size is 0; use a whole number from 1 to 4096");
  EXPECT_THAT(Message(head + "data: {train: 20}\noverrides:\n  - train: {batch_size: 64}\n"),
              HasSubstr("f.yaml:8:25: overrides[0].train.batch_size makes a batch of 64"));
}

TEST(SpecReader, NamesEveryMistakeInTheOrderOfTheFile) {
  const std::string message =
      Message("name: a\ntask: x\nmodel: {d_modell: 2, heads: b}\nseeds: z\n");
  const std::vector<std::string> lines = absl::StrSplit(message, '\n');
  ASSERT_EQ(lines.size(), 4) << message;
  EXPECT_THAT(lines[0], HasSubstr("f.yaml:2:1: "));
  EXPECT_THAT(lines[1], HasSubstr("f.yaml:3:9: "));
  EXPECT_THAT(lines[2], HasSubstr("f.yaml:3:29: "));
  EXPECT_THAT(lines[3], HasSubstr("f.yaml:4:8: "));
}

TEST(SpecReader, ShowsTwentyMistakesAndCountsTheRest) {
  std::string text = "name: a\n";
  for (int i = 0; i < 50; ++i) absl::StrAppend(&text, "zz", i, "zzzzzzz: 1\n");
  const std::vector<std::string> lines = absl::StrSplit(Message(text), '\n');
  EXPECT_EQ(lines.size(), 21);
  EXPECT_EQ(lines.back(), "f.yaml: and 30 more");
}

TEST(SpecReader, RefusesWhatIsNoSpecAtAll) {
  EXPECT_THAT(Message(""), HasSubstr("is empty"));
  EXPECT_THAT(Message("# only a comment\n"), HasSubstr("is empty"));
  EXPECT_THAT(Message("just words"), HasSubstr("a sweep spec is a map"));
  EXPECT_THAT(Message("- a\n- b\n"), HasSubstr("this is a list"));
  EXPECT_THAT(Message(std::string("name: a\0b", 9)), HasSubstr("f.yaml:1:8: a control character"));
  EXPECT_THAT(Message("name: \xff\xfe"), HasSubstr("not UTF-8"));
  EXPECT_THAT(Message("name: \xc0\xaf"), HasSubstr("not UTF-8"));      // a slash in too many bytes
  EXPECT_THAT(Message("name: \xed\xa0\x80"), HasSubstr("not UTF-8"));  // half of a pair of UTF-16
  EXPECT_THAT(Message(std::string((1 << 20) + 1, ' ')), HasSubstr("larger than 1 MiB"));
}

TEST(SpecReader, EndsOnNestingWithoutBottom) {
  EXPECT_THAT(Message(", a: b\n"), HasSubstr("f.yaml:1:1: "))
      << "yaml-cpp reads endless documents here";
  EXPECT_THAT(Message(std::string(100'000, '[')), HasSubstr("not YAML"));
  EXPECT_THAT(Message("a: " + std::string(100'000, '{')), HasSubstr("not YAML"));
  std::string dashes;
  for (int i = 0; i < 100'000; ++i) dashes += "- ";
  EXPECT_THAT(Message(dashes), HasSubstr("not YAML"));
  EXPECT_THAT(Message("name: &a [*a]\n"), HasSubstr("f.yaml:1:"));
}

TEST(SpecReader, AliasesDoNotMultiplyWithoutBound) {
  std::string text = "a: &a [1,1,1,1,1,1,1,1]\n";
  for (char c = 'b'; c < 'n'; ++c) {
    const char before = static_cast<char>(c - 1);
    absl::StrAppend(&text, std::string(1, c), ": &", std::string(1, c), " [");
    for (int i = 0; i < 8; ++i) absl::StrAppend(&text, i == 0 ? "*" : ",*", std::string(1, before));
    absl::StrAppend(&text, "]\n");
  }
  EXPECT_THAT(Message(text + "depths: *m\n"), HasSubstr("unknown key 'a'"));
}

// Any damage to a good file gives a message or another good file, never a crash.
TEST(SpecReader, SurvivesRandomDamage) {
  const char* given = std::getenv("COPPICE_TEST_SEED");
  const uint64_t seed = given != nullptr ? std::stoull(given) : std::random_device{}();
  SCOPED_TRACE(absl::StrCat("COPPICE_TEST_SEED=", seed));
  std::mt19937_64 random(seed);
  const std::string alphabet = "{}[]:,-?*&!|>'\"%@`#\n\t \\~<=0123456789.aeinstx\x7f\xc3\xa4";
  const std::string base = absl::StrCat(
      kGood, "overrides:\n  - where: {task: dyck, depth: [2, 4]}\n    train: {steps: 400}\n");
  for (int round = 0; round < 20'000; ++round) {
    std::string text = base;
    const int edits = 1 + static_cast<int>(random() % 8);
    for (int e = 0; e < edits; ++e) {
      const size_t at = random() % text.size();
      const char c = alphabet[random() % alphabet.size()];
      switch (random() % 4) {
        case 0:
          text[at] = c;
          break;
        case 1:
          text.insert(at, 1 + random() % 3, c);
          break;
        case 2:
          text.erase(at, 1 + random() % 12);
          break;
        default:
          text.insert(at, text.substr(random() % text.size(), random() % 40));
      }
      if (text.empty()) text = "a";
    }
    const absl::StatusOr<SpecFile> spec = ParseSpec(text, "f.yaml");
    if (!spec.ok()) {
      ASSERT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument) << text;
      ASSERT_THAT(std::string(spec.status().message()), HasSubstr("f.yaml:")) << text;
    }
  }
}

TEST(ReadSpecFile, NamesTheFileItCannotRead) {
  coppice::testing::TempDir dir;
  for (const std::string& path : {dir.Join("absent.yaml"), dir.path()}) {
    const absl::StatusOr<SpecFile> spec = ReadSpecFile(path);
    EXPECT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(spec.status().message()), HasSubstr(path));
  }
  EXPECT_THAT(std::string(ReadSpecFile("/dev/zero").status().message()), HasSubstr("1 MiB"))
      << "a file without end";
}

TEST(ReadSpecFile, AcceptsEveryPreset) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(COPPICE_SWEEPS_DIR)) {
    if (entry.path().extension() != ".yaml") continue;
    const absl::StatusOr<SpecFile> spec = ReadSpecFile(entry.path());
    ASSERT_TRUE(spec.ok()) << spec.status();
    EXPECT_THAT(SpecWarnings(*spec), IsEmpty());
    ++count;
  }
  EXPECT_GE(count, 2);
}

TEST(SpecWarnings, StandAtTheLineOfTheSetting) {
  const absl::StatusOr<SpecFile> file = ParseSpec(
      "name: a\ntasks: dyck\ndepths: 1\nseeds: 0\ntrain: {steps: 20000}\n"
      "overrides:\n  - train: {warmup_steps: 20000}\n",
      "f.yaml");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_THAT(SpecWarnings(*file),
              ElementsAre(HasSubstr("f.yaml:7:27: train.warmup_steps is 20000 and train.steps "
                                    "20000: the learning rate only rises")));
}

// This is the first thing that a new user copies.
TEST(SpecWarnings, AreNoneForTheReadmesSweep) {
  std::ifstream in(COPPICE_README);
  const std::string readme(std::istreambuf_iterator<char>(in), {});
  const size_t begin = readme.find("```yaml\n");
  ASSERT_NE(begin, std::string::npos);
  const size_t end = readme.find("```", begin + 8);
  const absl::StatusOr<SpecFile> file =
      ParseSpec(readme.substr(begin + 8, end - begin - 8), "README.md");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_THAT(SpecWarnings(*file), IsEmpty());
}

TEST(ReadSpecFile, PaperPresetIsTheStudyOf150Runs) {
  const absl::StatusOr<SpecFile> file = ReadSpecFile(COPPICE_SWEEPS_DIR "/paper.yaml");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->spec.tasks_size() * file->spec.depths_size() * file->spec.seeds_size(), 150);
}

}  // namespace
}  // namespace coppice::cli

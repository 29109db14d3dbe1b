// The output of every program reaches its reader, or the program reports that it did not.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tests/e2e/cluster.h"

namespace coppice::e2e {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::ReadAll;
using testing::RunResult;

constexpr char kSweep[] = R"(name: words
tasks: question
depths: [1]
seeds: 0-1
model: {d_model: 32, heads: 2, d_ff: 64}
train: {steps: 100, learning_rate: 1e-3, warmup_steps: 10}
data: {train: 500, val: 50, test: 10, gen: 50}
report: {every: 50, probes: {sentences: 10}}
checkpoint: {every: 50}
)";

std::string Quoted(const std::string& word) { return absl::StrCat("'", word, "'"); }

class OutputTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = new Cluster;
    cluster_->StartCoordinator();
    cluster_->StartWorker("node");
    cluster_->Submit(kSweep);
    ASSERT_TRUE(cluster_->AwaitEnd("words")) << cluster_->worker("node").err();
    std::ofstream(cluster_->Path("again.yaml")) << kSweep;
    std::ofstream(cluster_->Path("other.yaml"))
        << "{name: other, tasks: dyck, depths: 1, seeds: 0}";
  }
  static void TearDownTestSuite() { delete cluster_; }

  // The shell command line of `coppice ARGS...` against this coordinator.
  static std::string Line(const std::vector<std::string>& args) {
    return Program("coppice", Joined({{"--access", cluster_->access()}, args}));
  }
  static std::string Program(const std::string& name, const std::vector<std::string>& args) {
    return absl::StrCat(Quoted(Binary(name)), " ",
                        absl::StrJoin(args, " ", [](std::string* out, const std::string& arg) {
                          absl::StrAppend(out, Quoted(arg));
                        }));
  }
  static std::vector<std::string> Joined(const std::vector<std::vector<std::string>>& lists) {
    std::vector<std::string> all;
    for (const auto& list : lists) all.insert(all.end(), list.begin(), list.end());
    return all;
  }
  static RunResult Shell(const std::string& script) {
    return testing::RunProcess({"/bin/bash", "-c", script});
  }

  // Every command that prints and changes nothing that a later one needs.
  static std::vector<std::string> Lines() {
    const std::vector<std::vector<std::string>> queries = {
        {"list"},
        {"status", "words"},
        {"status", "words", "--watch"},
        {"wait", "words"},
        {"jobs", "words"},
        {"show", "words/question/1/0"},
        {"why", "words/question/1/0"},
        {"metrics", "words"},
        {"checkpoint", "list", "words"},
        {"workers"},
        {"logs", "words/question/1/0"},
        {"pause", "words"},
        {"resume", "words"},
        {"drain", "node", "--undo"},
        {"submit", cluster_->Path("again.yaml")},
        {"submit", cluster_->Path("other.yaml"), "--dry-run"},
    };
    std::vector<std::string> lines;
    for (const std::vector<std::string>& query : queries) {
      // The log of a trainer that printed nothing is empty.
      if (query[0] != "logs") lines.push_back(Line(query));
      lines.push_back(Line(Joined({query, {"--json"}})));
    }
    for (const char* format : {"csv", "jsonl"}) {
      lines.push_back(Line({"export", "words", "--format", format}));
    }
    for (const char* flag : {"--csv", "--jsonl"}) lines.push_back(Line({"metrics", "words", flag}));
    lines.push_back(Line({"checkpoint", "fetch", "words/question/1/0", "-o", "-"}));
    lines.push_back(Line({"completion", "bash"}));
    lines.push_back(Program("coppice", {"__complete", "--", "sta"}));
    lines.push_back(Program("coppice", {}));
    for (const char* name :
         {"coppice", "coppice-coordinator", "coppice-worker", "coppice-trainer"}) {
      for (const char* flag : {"--version", "--help"}) lines.push_back(Program(name, {flag}));
    }
    lines.push_back(Program("coppice-trainer", {"data", "--task", "question", "--split", "val",
                                                "--val-size", "20", "--out", "-"}));
    lines.push_back(Program("coppice-trainer", {"data", "--help"}));
    lines.push_back(Program("coppice-trainer", {"measure", "--help"}));
    return lines;
  }

  static Cluster* cluster_;
};

Cluster* OutputTest::cluster_ = nullptr;

TEST_F(OutputTest, AFullDiskIsAFailureWithItsReasonInEveryCommand) {
  for (const std::string& line : Lines()) {
    const RunResult result = Shell(absl::StrCat("exec ", line, " > /dev/full"));
    EXPECT_EQ(result.code, 1) << line;
    EXPECT_THAT(result.err, HasSubstr("No space left on device")) << line;
  }
}

TEST_F(OutputTest, AClosedOutputIsAFailureInEveryCommand) {
  for (const std::string& line : Lines()) {
    const RunResult result = Shell(absl::StrCat("exec ", line, " >&-"));
    EXPECT_EQ(result.code, 1) << line;
    EXPECT_THAT(result.err, HasSubstr("standard output")) << line;
  }
}

TEST_F(OutputTest, AReaderThatHasGoneEndsEveryCommandQuietly) {
  for (const std::string& line : Lines()) {
    // The reader is gone before the first byte, in whatever order the two run.
    const RunResult result = Shell(absl::StrCat("exec 3> >(:); wait $!; ", line, " >&3 2> ",
                                                Quoted(cluster_->Path("err")), "; echo $? > ",
                                                Quoted(cluster_->Path("code"))));
    EXPECT_EQ(absl::StripAsciiWhitespace(ReadAll(cluster_->Path("code"))), "141") << line;
    std::string err = ReadAll(cluster_->Path("err"));
    EXPECT_THAT(err, IsEmpty()) << line;
  }
}

TEST_F(OutputTest, OtherwiseTheyAllSucceed) {
  for (const std::string& line : Lines()) {
    const RunResult result = Shell(absl::StrCat("exec ", line));
    EXPECT_EQ(result.code, 0) << line << "\n" << result.err;
  }
}

TEST_F(OutputTest, ACoordinatorsOwnCommandsSayThatNobodyHeardThem) {
  const std::string dir = cluster_->Path("tls");
  ASSERT_EQ(Shell(Program("coppice-coordinator", {"init-tls", "--dir", dir})).code, 0);
  int n = 0;
  for (const char* to : {"> /dev/full", ">&-"}) {
    const std::string name = absl::StrCat("t", ++n);
    for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
             {"token", "list", "--tls-dir", dir},
             {"token", "add", name, "--role", "viewer", "--tls-dir", dir},
             {"token", "revoke", name, "--tls-dir", dir},
             {"init-tls", "--dir", absl::StrCat(dir, "-", name)}}) {
      const RunResult result =
          Shell(absl::StrCat("exec ", Program("coppice-coordinator", args), " ", to));
      EXPECT_EQ(result.code, 1) << args[0] << " " << to;
      EXPECT_THAT(result.err, HasSubstr("standard output")) << args[0] << " " << to;
    }
  }
}

TEST_F(OutputTest, ATrainerWhoseEventsCannotBeWrittenStopsAndFails) {
  const std::vector<std::string> run = {"--task",       "question",
                                        "--depth",      "1",
                                        "--d-model",    "32",
                                        "--heads",      "2",
                                        "--d-ff",       "64",
                                        "--steps",      "1000000",
                                        "--train-size", "500",
                                        "--val-size",   "50",
                                        "--gen-size",   "50",
                                        "--seeds",      "0",
                                        "--out",        cluster_->Path("by-hand")};
  const RunResult full =
      Shell(absl::StrCat("exec ", Program("coppice-trainer", run), " > /dev/full"));
  EXPECT_EQ(full.code, 1) << full.err;
  EXPECT_THAT(full.err, HasSubstr("No space left on device"));
}

TEST_F(OutputTest, VersionsHaveOneFormAndNameTheCommit) {
  for (const char* name : {"coppice", "coppice-coordinator", "coppice-worker", "coppice-trainer"}) {
    const RunResult result = Shell(Program(name, {"--version"}));
    EXPECT_THAT(result.out, ::testing::MatchesRegex(absl::StrCat(
                                name, " [0-9.]+ \\(([0-9a-f]{12,40}(-dirty)?|unknown)\\)\n")));
  }
  // The provenance of an attempt and the worker's version name the same commit.
  const std::string version =
      Shell(Program("coppice-trainer", {"--version"})).out.substr(sizeof("coppice-trainer"));
  const std::string text(absl::StripAsciiWhitespace(version));
  EXPECT_THAT(Shell(Line({"show", "words/question/1/0"})).out, HasSubstr(text));
  EXPECT_THAT(Shell(Line({"workers"})).out, HasSubstr(text));
}

TEST_F(OutputTest, EveryQueryIsValidJsonWhereThereIsNothing) {
  Cluster empty;
  empty.StartCoordinator();
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"list", "--json"}, {"workers", "--json"}}) {
    const RunResult result = empty.Cli(args);
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_FALSE(nlohmann::json::parse(result.out, nullptr, false).is_discarded()) << result.out;
  }
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"metrics", "words", "--from-step", "1000", "--json"},
           {"jobs", "words", "--state", "failed", "--json"},
           {"checkpoint", "list", "words", "--state", "failed", "--json"}}) {
    const RunResult result = cluster_->Cli(args);
    EXPECT_FALSE(nlohmann::json::parse(result.out, nullptr, false).is_discarded())
        << absl::StrJoin(args, " ") << ": " << result.out << result.err;
  }
}

// ---- -o FILE

struct Writer {
  std::string name;
  std::string line;  // with -o or --out last, and no file name yet
};

class OutputFileRuleTest : public OutputTest {
 protected:
  std::vector<Writer> Writers() {
    return {{"export", Line({"export", "words", "--format", "csv", "-o"})},
            {"metrics", Line({"metrics", "words", "--jsonl", "-o"})},
            {"fetch", Line({"checkpoint", "fetch", "words/question/1/0", "-o"})},
            {"data", Program("coppice-trainer", {"data", "--task", "question", "--split", "val",
                                                 "--val-size", "20", "--out"})}};
  }
  mode_t ModeOf(const std::string& path) {
    struct stat info = {};
    EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
    return info.st_mode;
  }
  testing::TempDir dir_;
};

TEST_F(OutputFileRuleTest, OneRuleForWhatIsThereInEveryCommand) {
  for (const Writer& writer : Writers()) {
    const std::string file = dir_.Join(writer.name);
    std::ofstream(file) << "precious";
    std::filesystem::permissions(file, std::filesystem::perms(0640));
    std::filesystem::create_symlink(writer.name, dir_.Join("link-" + writer.name));
    for (const std::string& path : {file, dir_.Join("link-" + writer.name)}) {
      const RunResult kept = Shell(absl::StrCat(writer.line, " ", path));
      EXPECT_EQ(kept.code, 1) << writer.name;
      EXPECT_THAT(kept.err, HasSubstr("--force")) << writer.name;
      EXPECT_EQ(ReadAll(file), "precious") << writer.name;
    }
    const std::string link = dir_.Join("link-" + writer.name);
    const RunResult forced = Shell(absl::StrCat(writer.line, " ", link, " --force"));
    EXPECT_EQ(forced.code, 0) << writer.name << forced.err;
    EXPECT_TRUE(S_ISLNK(ModeOf(link))) << writer.name;
    EXPECT_EQ(ModeOf(file) & 07777, 0640u) << writer.name;
    EXPECT_NE(ReadAll(file), "precious") << writer.name;
  }
}

TEST_F(OutputFileRuleTest, ADeviceAPipeAndTheStandardOutputAreWrittenThrough) {
  for (const Writer& writer : Writers()) {
    ASSERT_EQ(Shell(absl::StrCat(writer.line, " ", dir_.Join(writer.name))).code, 0);
    const std::string expected = ReadAll(dir_.Join(writer.name));
    ASSERT_FALSE(expected.empty());
    const std::string pipe = dir_.Join(writer.name + "-pipe"),
                      got = dir_.Join(writer.name + "-got");
    const RunResult through =
        Shell(absl::StrCat("mkfifo ", pipe, "; cat ", pipe, " > ", got, " & ", writer.line, " ",
                           pipe, "; code=$?; wait; exit $code"));
    EXPECT_EQ(through.code, 0) << through.err;
    EXPECT_TRUE(S_ISFIFO(ModeOf(pipe))) << writer.name;
    EXPECT_EQ(ReadAll(got), expected) << writer.name;

    for (const char* name : {"-", "/dev/stdout"}) {
      const RunResult to_stdout = Shell(absl::StrCat("cd ", dir_.path(), " && ", writer.line, " ",
                                                     name, " > ", got, "; exit $?"));
      EXPECT_EQ(to_stdout.code, 0) << to_stdout.err;
      const std::string text = ReadAll(got);
      EXPECT_EQ(text.substr(0, expected.size()), expected) << writer.name << " " << name;
      EXPECT_FALSE(std::filesystem::exists(dir_.Join("-"))) << writer.name;
    }

    // Uses a null device of its own if it may create one, so that a mistake does not harm this
    // machine's.
    const std::string null = dir_.Join(writer.name + "-null");
    if (::mknod(null.c_str(), S_IFCHR | 0666, makedev(1, 3)) != 0) continue;
    if (const int fd = ::open(null.c_str(), O_WRONLY); fd < 0)
      continue;
    else
      ::close(fd);
    EXPECT_EQ(Shell(absl::StrCat(writer.line, " ", null)).code, 0) << writer.name;
    EXPECT_EQ(Shell(absl::StrCat(writer.line, " ", null, " --force")).code, 0) << writer.name;
    EXPECT_TRUE(S_ISCHR(ModeOf(null))) << writer.name;
  }
}

TEST_F(OutputFileRuleTest, ABackupKeepsALinkAndAMode) {
  const std::string data = dir_.Join("data");
  const std::string port = dir_.Join("port");
  std::filesystem::create_directory(dir_.Join("far"));
  std::filesystem::create_symlink("far/backup", dir_.Join("backup"));
  testing::Subprocess coordinator({Binary("coppice-coordinator"), "--insecure", "--data-dir", data,
                                   "--listen", "127.0.0.1:0", "--port-file", port});
  ASSERT_TRUE(AwaitFile(port, absl::Seconds(30))) << coordinator.err();
  const std::string line =
      Program("coppice-coordinator", {"backup", "--data-dir", data, dir_.Join("backup")});
  EXPECT_EQ(Shell(line).code, 0);
  EXPECT_TRUE(S_ISLNK(ModeOf(dir_.Join("backup"))));
  EXPECT_EQ(ModeOf(dir_.Join("far/backup")) & 07777, 0600u);
  std::filesystem::permissions(dir_.Join("far/backup"), std::filesystem::perms(0640));
  EXPECT_EQ(Shell(line).code, 1) << "it is there";
  EXPECT_EQ(Shell(line + " --force").code, 0);
  EXPECT_TRUE(S_ISLNK(ModeOf(dir_.Join("backup"))));
  EXPECT_EQ(ModeOf(dir_.Join("far/backup")) & 07777, 0640u);
  // A message that cannot be printed is a failure.
  const RunResult full = Shell(line + " --force > /dev/full");
  EXPECT_EQ(full.code, 1);
  EXPECT_THAT(full.err, HasSubstr("No space left on device"));
}

// ---- the end of a sweep

TEST(WaitE2eTest, OutlivesTheCoordinatorAndTellsHowTheSweepEnded) {
  Cluster cluster;
  cluster.StartCoordinator();
  cluster.Submit(R"({name: long, tasks: question, depths: 1, seeds: 0,
    model: {d_model: 32, heads: 2, d_ff: 64}, train: {steps: 100000},
    data: {train: 500, val: 50, test: 10, gen: 50}})");
  testing::Subprocess waiting({Binary("coppice"), "--access", cluster.access(), "wait", "long"});
  testing::Subprocess watching(
      {Binary("coppice"), "--access", cluster.access(), "status", "long", "--watch"});
  // Both commands follow the sweep by now or soon. The restart must not end them in either case.
  EXPECT_FALSE(waiting.Wait(absl::Seconds(1)).has_value());
  cluster.coordinator().Signal(SIGKILL);
  ASSERT_TRUE(cluster.coordinator().Wait(absl::Seconds(10)).has_value());
  cluster.StartCoordinator();
  EXPECT_TRUE(waiting.Running());
  ASSERT_EQ(cluster.Cli({"cancel", "long"}).code, 0);
  for (testing::Subprocess* follower : {&waiting, &watching}) {
    const auto ended = follower->Wait(absl::Seconds(60));
    ASSERT_TRUE(ended.has_value());
    EXPECT_EQ(ended->code, 1) << follower->err();
    EXPECT_THAT(follower->out(), HasSubstr("1 cancelled"));
  }
}

}  // namespace
}  // namespace coppice::e2e

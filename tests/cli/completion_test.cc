// Completions of a shell: requested as the scripts request them, and through the shells.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/secret_file.h"
#include "tests/cli/cli_fixture.h"
#include "tests/testing/subprocess.h"
#include "tests/testing/temp_dir.h"

namespace coppice::cli {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

using Words = std::vector<std::string>;

class CompletionTest : public CliFixture {
 protected:
  Words Offered(Words words) {
    words.insert(words.begin(), {"__complete", "--"});
    Words lines = absl::StrSplit(Ok(words), '\n', absl::SkipEmpty());
    if (!lines.empty()) {
      directive_ = lines.back();
      lines.pop_back();
    }
    return lines;
  }
  std::string directive_;
  coppice::testing::TempDir dir_;
};

TEST_F(CompletionTest, CommandsAndFlagsAreThoseOfThePlace) {
  EXPECT_THAT(Offered({""}), AllOf(Contains("status"), Contains("checkpoint"),
                                   Not(Contains("__complete")), Not(Contains("--watch"))));
  EXPECT_THAT(Offered({"st"}), ElementsAre("status"));
  EXPECT_THAT(Offered({"checkpoint", ""}), UnorderedElementsAre("list", "fetch", "verify"));
  EXPECT_THAT(Offered({"checkpoint", "fetch", "--s"}), ElementsAre("--step"));
  EXPECT_THAT(Offered({"status", "--wa"}), ElementsAre("--watch"));
  EXPECT_THAT(Offered({"status", "--"}), AllOf(Contains("--json"), Contains("--coordinator")));
  EXPECT_THAT(Offered({"completion", ""}), ElementsAre("bash", "zsh", "fish"));
}

TEST_F(CompletionTest, SweepsJobPathsAndWorkersAreTheCoordinators) {
  EXPECT_THAT(Offered({"report", ""}), ElementsAre("demo"));
  EXPECT_EQ(directive_, ":");
  EXPECT_THAT(Offered({"status", ""}), ElementsAre("demo"));
  EXPECT_EQ(directive_, ":goes-on") << "with a slash behind it, some of its points";
  EXPECT_THAT(Offered({"show", "d"}), ElementsAre("demo/"));
  EXPECT_EQ(directive_, ":goes-on");
  EXPECT_THAT(Offered({"show", "demo/"}), ElementsAre("demo/question/", "demo/dyck/"));
  EXPECT_THAT(Offered({"logs", "demo/dyck/"}), ElementsAre("demo/dyck/1/", "demo/dyck/2/"));
  EXPECT_THAT(Offered({"why", "demo/dyck/2/"}), ElementsAre("demo/dyck/2/0", "demo/dyck/2/1"));
  EXPECT_EQ(directive_, ":");
  EXPECT_THAT(Offered({"cancel", "demo/q"}), ElementsAre("demo/question"));
  EXPECT_THAT(Offered({"jobs", ""}), ElementsAre("demo"));
  EXPECT_THAT(Offered({"drain", ""}), ElementsAre("node"));
  EXPECT_THAT(Offered({"status", "demo", ""}), ElementsAre()) << "it takes one";
  EXPECT_THAT(Offered({"wait", "demo", ""}), ElementsAre("demo")) << "it takes several";
  EXPECT_THAT(Offered({"spec", ""}), ElementsAre("demo"));
  EXPECT_THAT(Offered({"diff", "demo", "d"}), ElementsAre("demo"));
  EXPECT_EQ(directive_, ":");
  EXPECT_THAT(Offered({"diff", "demo", "./d"}), ElementsAre());
  EXPECT_EQ(directive_, ":files");
}

TEST_F(CompletionTest, ValuesAreThoseThatFitTheFlag) {
  EXPECT_THAT(Offered({"jobs", "demo", "--state", "s"}), ElementsAre("succeeded"));
  EXPECT_THAT(Offered({"jobs", "demo", "--state", "failed,c"}), ElementsAre("failed,cancelled"));
  EXPECT_THAT(Offered({"jobs", "demo", "--state=p"}), ElementsAre("--state=pending"));
  EXPECT_THAT(Offered({"jobs", "demo", "--task", ""}), ElementsAre("question", "dyck"));
  EXPECT_THAT(Offered({"jobs", "demo", "--depth", ""}), ElementsAre("1", "2"));
  EXPECT_THAT(Offered({"jobs", "--seed", ""}), ElementsAre("0", "1")) << "of the only sweep";
  EXPECT_THAT(Offered({"export", "demo", "--format", ""}),
              ElementsAre("csv", "jsonl", "tensorboard"));
  EXPECT_THAT(Offered({"metrics", "demo", "--name", ""}),
              ElementsAre("gen_accuracy", "id_accuracy"));
  EXPECT_THAT(Offered({"checkpoint", "fetch", "demo/question/1/0", "--step", ""}),
              ElementsAre("150"));
  EXPECT_THAT(Offered({"access", "export", "--role", ""}), ElementsAre("worker", "viewer"));
  EXPECT_THAT(Offered({"access", "export", "--name", ""}), ElementsAre()) << "no metric";
}

TEST_F(CompletionTest, FilesAreLeftToTheShell) {
  for (const Words& words : std::vector<Words>{{"submit", ""},
                                               {"metrics", "demo", "-o", ""},
                                               {"local", "x"},
                                               {"report", "--output", ""},
                                               {"checkpoint", "verify", ""},
                                               {"checkpoint", "verify", "x", ""},
                                               {"access", "export", ""},
                                               {"status", "--access", ""}}) {
    EXPECT_THAT(Offered(words), ElementsAre()) << words.front();
    EXPECT_EQ(directive_, ":files") << words.front();
  }
}

TEST_F(CompletionTest, TheCoordinatorNamedOnTheLineIsAsked) {
  const std::string access = dir_.Join("access.json");
  ASSERT_TRUE(CreateSecretFile(access, coordinator_.access()).ok());
  for (Words words : std::vector<Words>{
           {"--coordinator", coordinator_.address(), "status", ""},
           {"--insecure", absl::StrCat("--coordinator=", coordinator_.address()), "status", ""},
           {"status", "--access", access, "--coordinator", coordinator_.tls_address(), ""}}) {
    words.insert(words.begin(), {"__complete", "--"});
    EXPECT_EQ(RunCommand("127.0.0.1:1", words).out, "demo\n:goes-on\n")
        << absl::StrJoin(words, " ");
  }
}

TEST_F(CompletionTest, NothingIsSaidWhereNobodyAnswers) {
  for (const Words& words : std::vector<Words>{
           {"status", ""}, {"show", "demo/"}, {"jobs", "--name", ""}, {"drain", ""}}) {
    Words args = {"__complete", "--"};
    args.insert(args.end(), words.begin(), words.end());
    const CliResult result = RunCommand("127.0.0.1:1", args);
    EXPECT_EQ(result.code, 0);
    EXPECT_THAT(result.out, ::testing::StartsWith(":")) << "no name in front of the directive";
    EXPECT_EQ(result.err, "");
  }
}

// Each shell, with the program's own script, in a folder with a file to complete.
class ShellTest : public CliFixture {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(dir_.Join("bin"));
    std::filesystem::create_symlink(COPPICE_CLI, dir_.Join("bin/coppice"));
    std::filesystem::create_directory(dir_.Join("here"));
    std::ofstream(dir_.Join("here/my sweep.yaml")) << "name: a\n";
  }
  // The shell's offers, one word a line; nullopt if the shell is not installed.
  std::optional<Words> Run(const std::string& shell, const std::string& text) {
    const std::string script = dir_.Join("script");
    std::ofstream(script) << "cd '" << dir_.Join("here") << "'\n" << text;
    const testing::RunResult result = testing::RunProcess(
        {shell, script}, {{"PATH", absl::StrCat(dir_.Join("bin"), ":/usr/bin:/bin")},
                          {"HOME", dir_.Join("here")},
                          {"COPPICE_COORDINATOR", coordinator_.address()},
                          {"COPPICE_INSECURE", "1"}});
    if (result.code == 127) return std::nullopt;
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.err, "");
    return absl::StrSplit(result.out, '\n', absl::SkipEmpty());
  }

  coppice::testing::TempDir dir_;
};

TEST_F(ShellTest, Bash) {
  // Calls it as bash does, with the line broken at blanks, = and :.
  const auto offered = [&](const std::string& line, const std::string& broken, int at) {
    return *Run("bash", absl::StrCat("compopt() { :; }\nsource <(coppice completion bash)\n",
                                     "COMP_LINE='", line, "' COMP_POINT=", line.size(),
                                     " COMP_WORDS=(", broken, ") COMP_CWORD=", at,
                                     "\n_coppice\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n"));
  };
  EXPECT_THAT(offered("coppice sta", "coppice sta", 1), ElementsAre("status"));
  EXPECT_THAT(offered("coppice status ", "coppice status ''", 2), ElementsAre("demo"));
  EXPECT_THAT(offered("coppice show demo/dyck/2/", "coppice show demo/dyck/2/", 2),
              ElementsAre("demo/dyck/2/0", "demo/dyck/2/1"));
  EXPECT_THAT(offered("coppice jobs --state=f", "coppice jobs --state = f", 4),
              ElementsAre("failed"))
      << "bash has the part behind = alone";
  EXPECT_THAT(offered("coppice submit my", "coppice submit my", 2), ElementsAre("my sweep.yaml"));
}

TEST_F(ShellTest, Zsh) {
  const auto offered = [&](const std::string& words, int current, const std::string& prefix) {
    return Run("zsh",
               absl::StrCat("compdef() { : }\n_files() { print -l -- *.yaml }\n",
                            "compadd() { while [[ $1 == -* ]]; do [[ $1 == -S ]] && shift; shift; ",
                            "done; print -l -- \"$@\" }\nsource <(coppice completion zsh)\nwords=(",
                            words, ") CURRENT=", current, " PREFIX='", prefix, "'\n_coppice\n"));
  };
  const auto status = offered("coppice sta", 2, "sta");
  if (!status.has_value()) GTEST_SKIP() << "there is no zsh here";
  EXPECT_THAT(*status, ElementsAre("status"));
  EXPECT_THAT(*offered("coppice show demo/dyck/2/", 3, "demo/dyck/2/"),
              ElementsAre("demo/dyck/2/0", "demo/dyck/2/1"));
  EXPECT_THAT(*offered("coppice submit ''", 3, ""), ElementsAre("my sweep.yaml"));
}

TEST_F(ShellTest, Fish) {
  const auto offered = [&](const std::string& line) {
    return Run("fish",
               absl::StrCat("coppice completion fish | source\ncomplete -C '", line, "'\n"));
  };
  const auto status = offered("coppice sta");
  if (!status.has_value()) GTEST_SKIP() << "there is no fish here";
  EXPECT_THAT(*status, ElementsAre("status"));
  EXPECT_THAT(*offered("coppice show demo/dyck/2/"), ElementsAre("demo/dyck/2/0", "demo/dyck/2/1"));
  EXPECT_THAT(*offered("coppice submit my"), ElementsAre(::testing::HasSubstr("my")));
}

}  // namespace
}  // namespace coppice::cli

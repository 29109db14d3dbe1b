// The coordinator as users start it: its flags, and starts that it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "tests/coordinator/service/coordinator_process.h"
#include "tests/testing/temp_dir.h"

namespace coppice::service {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using testing::RunProcess;
using testing::RunResult;
using testing::Subprocess;
using testing::TempDir;

TEST(CoordinatorBinary, TellsItsVersionAndItsFlags) {
  const RunResult version = RunProcess(Command({"--version"}));
  EXPECT_EQ(version.code, 0);
  EXPECT_THAT(version.out, HasSubstr(COPPICE_VERSION));
  const RunResult help = RunProcess(Command({"--help"}));
  EXPECT_EQ(help.code, 0);
  for (const char* flag : {"--data-dir", "--checkpoint-dir", "--listen", "--port-file", "--lease",
                           "--heartbeat", "--insecure", "--log-level"}) {
    EXPECT_THAT(help.out, HasSubstr(flag));
  }
}

TEST(CoordinatorBinary, SuggestsWhatAMisspeltFlagOrCommandMeant) {
  EXPECT_THAT(RunProcess(Command({"--data-dri", "x"})).err, HasSubstr("did you mean --data-dir?"));
  EXPECT_THAT(RunProcess(Command({"bakup"})).err, HasSubstr("did you mean 'backup'?"));
  EXPECT_THAT(RunProcess(Command({"token", "lsit"})).err, HasSubstr("did you mean 'list'?"));
}

TEST(CoordinatorBinary, RefusesBadFlagsWithExitCodeTwo) {
  TempDir dir;
  const std::string data = dir.Join("data");
  EXPECT_EQ(RunProcess(Command({"--data-directory", data})).code, 2);
  ExpectRefusal(RunProcess(Command({"--data-dir", data, "--lease", "soon"})), 2,
                {"--lease", "soon", "60s"});
  ExpectRefusal(RunProcess(Command({"--data-dir", data, "--lease", "10s", "--heartbeat", "9s"})), 2,
                {"--lease", "--heartbeat"});
  ExpectRefusal(RunProcess(Command({"--data-dir", data, "--log-level", "loud"})), 2,
                {"loud", "debug"});
  ExpectRefusal(RunProcess(Command({"--data-dir", data, "--listen", "7070"})), 2,
                {"7070", "HOST:PORT"});
  ExpectRefusal(RunProcess(Command({"--data-dir", data, "--listen", "0.0.0.0:0"})), 2,
                {"0.0.0.0:0", "--insecure-anywhere"});
  ExpectRefusal(RunProcess(Command({"--data-dir", data, "--tokens", "t", "--keda-scaler"})), 2,
                {"--keda-scaler", "--require-client-cert"});
  EXPECT_FALSE(FileExists(data)) << "a refused start leaves nothing behind";
}

TEST(CoordinatorBinary, ListensElsewhereOnlyWhenToldThatItIsInsecure) {
  TempDir dir;
  Coordinator open(dir.Join("data"), {"--insecure-anywhere"}, "0.0.0.0:0");
  EXPECT_THAT(open.address(), MatchesRegex("0\\.0\\.0\\.0:[1-9][0-9]*"));
  EXPECT_EQ(open.Terminate(), 0);
}

TEST(CoordinatorBinary, RefusesAPortInUseAndSaysWhatToDo) {
  TempDir dir;
  Coordinator first(dir.Join("first"));
  ExpectRefusal(
      RunProcess(Command({"--data-dir", dir.Join("second"), "--listen", first.address()})), 1,
      {first.address(), "in use", "--listen"});
}

TEST(CoordinatorBinary, RefusesADataDirectoryThatAnotherOneUses) {
  TempDir dir;
  Coordinator first(dir.Join("data"));
  ExpectRefusal(RunProcess(Command({"--data-dir", dir.Join("data"), "--listen", "127.0.0.1:0"})), 1,
                {dir.Join("data"), "another"});
  EXPECT_EQ(first.Terminate(), 0) << "the first is not disturbed";
}

TEST(CoordinatorBinary, RefusesADataDirectoryWithAFileInTheWay) {
  TempDir dir;
  ASSERT_TRUE(WriteFileAtomically(dir.Join("file"), "").ok());
  ExpectRefusal(RunProcess(Command({"--data-dir", dir.Join("file"), "--listen", "127.0.0.1:0"})), 1,
                {dir.Join("file"), "--data-dir"});
}

TEST(CoordinatorBinary, RefusesADataDirectoryItCannotWriteTo) {
  TempDir dir;
  const std::string data = dir.Join("data");
  ASSERT_TRUE(MakeDirectories(data).ok());
  ::chmod(dir.path().c_str(), 0755);
  ::chmod(data.c_str(), 0555);
  std::vector<std::string> command = Command({"--data-dir", data, "--listen", "127.0.0.1:0"});
  if (::geteuid() == 0) {
    // Root ignores file modes, so the program runs as another user.
    const std::vector<std::string> as_nobody = {"setpriv", "--reuid=65534", "--regid=65534",
                                                "--clear-groups"};
    command.insert(command.begin(), as_nobody.begin(), as_nobody.end());
    if (RunProcess(
            {"setpriv", "--reuid=65534", "--clear-groups", COPPICE_COORDINATOR_BINARY, "--version"})
            .code != 0) {
      GTEST_SKIP() << "cannot run the coordinator as another user here";
    }
  }
  ExpectRefusal(RunProcess(command), 1, {data, "--data-dir"});
}

TEST(CoordinatorBinary, RefusesADatabaseOfANewerVersion) {
  TempDir dir;
  const std::string data = dir.Join("data");
  EXPECT_EQ(Coordinator(data).Terminate(), 0);
  {
    // SQLite stores the schema's version (user_version) in bytes 60 to 63 of the file.
    std::fstream file(data + "/coppice.db", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(60);
    file.write("\x00\x00\x27\x0f", 4);
    ASSERT_TRUE(file.good());
  }
  ExpectRefusal(RunProcess(Command({"--data-dir", data, "--listen", "127.0.0.1:0"})), 1,
                {data, "9999", "newer"});
}

TEST(CoordinatorBinary, RefusesCheckpointsOfAnotherStore) {
  TempDir dir;
  const std::string checkpoints = dir.Join("checkpoints");
  EXPECT_EQ(Coordinator(dir.Join("one"), {"--checkpoint-dir", checkpoints}).Terminate(), 0);
  ExpectRefusal(RunProcess(Command({"--data-dir", dir.Join("two"), "--listen", "127.0.0.1:0",
                                    "--checkpoint-dir", checkpoints})),
                1, {checkpoints, "--checkpoint-dir"});
  Coordinator again(dir.Join("one"), {"--checkpoint-dir", checkpoints});
  EXPECT_EQ(again.Terminate(), 0) << "the owner may come back";
}

mode_t ModeOf(const std::string& path) {
  struct stat info = {};
  ::lstat(path.c_str(), &info);
  return info.st_mode & 07777;
}

TEST(CoordinatorBinary, ItsDataAreForItsOwnerAloneAlsoWhereAnEarlierVersionLeftThemOpen) {
  TempDir dir;
  const std::string data = dir.Join("data");
  EXPECT_EQ(Coordinator(data).Terminate(), 0);
  EXPECT_EQ(ModeOf(data), 0700u);
  EXPECT_EQ(ModeOf(data + "/coppice.db"), 0600u);
  ::chmod(data.c_str(), 0755);
  Coordinator again(data);
  EXPECT_EQ(again.Terminate(), 0);
  EXPECT_EQ(ModeOf(data), 0700u);
  EXPECT_THAT(again.process().err(), HasSubstr("was open to other accounts"));
}

TEST(CoordinatorBinary, AFolderOfOtherFilesIsNeitherUsedNorClosedToOthers) {
  TempDir dir;
  const std::string project = dir.Join("project");
  ASSERT_TRUE(MakeDirectories(project).ok());
  ::chmod(project.c_str(), 0755);
  ASSERT_TRUE(WriteFileAtomically(project + "/thesis.tex", "mine").ok());
  ExpectRefusal(RunProcess(Command({"--data-dir", project, "--listen", "127.0.0.1:0"})), 1,
                {project, "thesis.tex", "chmod 700"});
  EXPECT_EQ(ModeOf(project), 0755u);
}

TEST(CoordinatorBinary, NeitherTheDataFolderNorTheDatabaseIsOpenedThroughALink) {
  TempDir dir;
  const std::string data = dir.Join("data");
  EXPECT_EQ(Coordinator(data).Terminate(), 0);
  ASSERT_EQ(::symlink(data.c_str(), dir.Join("link").c_str()), 0);
  ExpectRefusal(RunProcess(Command({"--data-dir", dir.Join("link"), "--listen", "127.0.0.1:0"})), 1,
                {dir.Join("link"), "symbolic link", "--data-dir"});
  for (const char* suffix : {"", "-wal", ".lock"}) {
    const std::string other = dir.Join("other");
    ASSERT_TRUE(MakeDirectories(other).ok());
    const std::string victim = dir.Join(absl::StrCat("victim", suffix));
    ASSERT_TRUE(WriteFileAtomically(victim, "").ok());
    ASSERT_EQ(::symlink(victim.c_str(), absl::StrCat(other, "/coppice.db", suffix).c_str()), 0);
    ::chmod(other.c_str(), 0700);
    ExpectRefusal(RunProcess(Command({"--data-dir", other, "--listen", "127.0.0.1:0"})), 1,
                  {"coppice.db", "symbolic link"});
    EXPECT_EQ(ReadFile(victim).value(), "") << "nothing went through it";
    ASSERT_TRUE(RemoveFile(absl::StrCat(other, "/coppice.db", suffix)).ok());
  }
}

TEST(CoordinatorBinary, APortFileThatIsSomethingElseStays) {
  TempDir dir;
  const std::string mine = dir.Join("notes");
  ASSERT_TRUE(WriteFileAtomically(mine, "to do: write the thesis\n").ok());
  ExpectRefusal(RunProcess(Command({"--data-dir", dir.Join("data"), "--listen", "127.0.0.1:0",
                                    "--port-file", mine})),
                1, {mine, "--port-file"});
  EXPECT_EQ(ReadFile(mine).value(), "to do: write the thesis\n");
}

TEST(CoordinatorBinary, ACheckpointFolderOfOtherFilesIsRefusedAndStays) {
  TempDir dir;
  const std::string runs = dir.Join("runs");
  ASSERT_TRUE(MakeDirectories(runs + "/old/1/attempt-3").ok());
  ASSERT_TRUE(WriteFileAtomically(runs + "/old/1/attempt-3/step-5.safetensors", "mine").ok());
  ExpectRefusal(RunProcess(Command({"--data-dir", dir.Join("data"), "--listen", "127.0.0.1:0",
                                    "--checkpoint-dir", runs})),
                1, {runs, "old", "--checkpoint-dir"});
  EXPECT_TRUE(FileExists(runs + "/old/1/attempt-3/step-5.safetensors"));
}

TEST(CoordinatorBinary, ItsDefaultFolderIsTheUsersAndAnEarlierDefaultIsNotPassedOver) {
  TempDir dir;
  const std::string state = dir.Join("state");
  const std::string port = dir.Join("port");
  {
    Subprocess process(Command({"--listen", "127.0.0.1:0", "--port-file", port}),
                       {{"XDG_STATE_HOME", state}});
    for (int i = 0; i < 3000 && !FileExists(port) && process.Running(); ++i) {
      process.Wait(absl::Milliseconds(20));
    }
    process.Signal(SIGTERM);
    ASSERT_EQ(process.Wait(kPatience)->code, 0) << process.err();
  }
  EXPECT_TRUE(FileExists(state + "/coppice/coordinator/coppice.db"));
  EXPECT_EQ(ModeOf(state + "/coppice"), 0700u);
  ASSERT_TRUE(MakeDirectories(dir.Join("here/coppice-coordinator")).ok());
  ASSERT_TRUE(WriteFileAtomically(dir.Join("here/coppice-coordinator/coppice.db"), "").ok());
  const RunResult refused =
      RunProcess({"/bin/sh", "-c",
                  absl::StrCat("cd ", dir.Join("here"), "; exec ", COPPICE_COORDINATOR_BINARY)},
                 {{"XDG_STATE_HOME", dir.Join("fresh")}});
  ExpectRefusal(refused, 1, {"--data-dir coppice-coordinator"});
}

}  // namespace
}  // namespace coppice::service

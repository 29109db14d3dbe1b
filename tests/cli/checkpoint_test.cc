// `coppice checkpoint`, against a coordinator that sends what a test asks for, broken or not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/base/digest.h"
#include "common/base/safetensors.h"
#include "tests/cli/cli_fixture.h"
#include "tests/testing/subprocess.h"
#include "tests/testing/temp_dir.h"

namespace coppice::cli {
namespace {

using ::coppice::testing::ReadAll;
using ::coppice::testing::TempDir;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CheckpointTest : public CliFixture {
 protected:
  CliResult Run(std::vector<std::string> args) {
    args.insert(args.begin(), "checkpoint");
    return CliFixture::Run(std::move(args));
  }
  std::string Ok(std::vector<std::string> args) {
    args.insert(args.begin(), "checkpoint");
    return CliFixture::Ok(std::move(args));
  }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path()))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

  TempDir dir_;
};

TEST_F(CheckpointTest, ListNamesEveryJobThatRan) {
  EXPECT_THAT(Ok({"list", "demo/question"}),
              AllOf(HasSubstr("demo/question/1/0   150"), HasSubstr("current"),
                    HasSubstr("demo/question/2/0"), ::testing::Not(HasSubstr("question/2/1"))));
  const auto json = nlohmann::json::parse(Ok({"list", "demo", "--task", "dyck", "--json"}));
  ASSERT_EQ(json["checkpoints"].size(), 3u);
  EXPECT_EQ(json["checkpoints"][0]["task"], "dyck");
  EXPECT_EQ(json["checkpoints"][0]["step"], 150);
  EXPECT_EQ(json["checkpoints"][0]["bytes"], "4096");
  EXPECT_EQ(json["checkpoints"][0]["current"], true);
  EXPECT_THAT(Ok({"list", "demo", "--state", "pending"}), HasSubstr("no job that matches"));
}

// ---- fetch

class FetchTest : public CheckpointTest {
 protected:
  FetchTest() : content_(2'500'000, 'c') {
    v1::Checkpoint checkpoint;
    checkpoint.set_job_id(1);
    checkpoint.set_step(150);
    checkpoint.set_bytes(content_.size());
    checkpoint.set_digest(DigestOf(content_.data(), content_.size()));
    header_ = checkpoint;
    Send(content_);
  }
  void Send(const std::string& content, grpc::Status status = grpc::Status::OK) {
    absl::MutexLock lock(&service().mutex);
    auto& parts = service().fetch_parts;
    parts.clear();
    *parts.emplace_back().mutable_header() = header_;
    for (size_t at = 0; at < content.size(); at += 1 << 20)
      parts.emplace_back().set_data(content.substr(at, 1 << 20));
    service().fetch_status = std::move(status);
  }
  // Expects that the fetch fails with this message and leaves the folder unchanged.
  void ExpectNoFile(const std::string& says) {
    const std::vector<std::string> before = Names();
    const CliResult result = Run({"fetch", "1", "-o", file_, "--force"});
    EXPECT_EQ(result.code, 1);
    EXPECT_THAT(result.err, HasSubstr(says));
    EXPECT_EQ(Names(), before);
  }

  const std::string content_;
  const std::string file_ = dir_.Join("file");
  v1::Checkpoint header_;
};

TEST_F(FetchTest, TheFileHasTheBytesThatWereCommitted) {
  EXPECT_THAT(Ok({"fetch", "demo/question/1/0", "--step", "0", "-o", file_}),
              AllOf(HasSubstr(file_), HasSubstr("demo/question/1/0 at step 150"),
                    HasSubstr(header_.digest())));
  EXPECT_EQ(ReadAll(file_), content_);
  {
    absl::MutexLock lock(&service().mutex);
    EXPECT_EQ(service().fetch.job_id(), 1u);
    EXPECT_TRUE(service().fetch.has_step()) << "step 0 is not the current one";
  }
  Ok({"fetch", "1", "-o", file_, "--force"});
  absl::MutexLock lock(&service().mutex);
  EXPECT_FALSE(service().fetch.has_step());
}

TEST_F(FetchTest, TheNameSaysWhatItIs) {
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(dir_.path());
  Ok({"fetch", "1"});
  std::filesystem::current_path(before);
  EXPECT_THAT(Names(), ::testing::ElementsAre("demo-question-1-0-step-150.safetensors"));
}

TEST_F(FetchTest, AFileThatIsThereStaysUnlessForced) {
  std::ofstream(file_) << "mine";
  const CliResult result = Run({"fetch", "1", "-o", file_});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("--force"));
  EXPECT_EQ(ReadAll(file_), "mine");
  Ok({"fetch", "1", "-o", file_, "--force"});
  EXPECT_EQ(ReadAll(file_), content_);
  EXPECT_THAT(Names(), ::testing::ElementsAre("file"));
}

TEST_F(FetchTest, AStreamThatBreaksLeavesNoFile) {
  Send(content_.substr(0, 1'500'000), {grpc::StatusCode::UNAVAILABLE, "shutting down"});
  ExpectNoFile("shutting down");
  Send(content_, {grpc::StatusCode::DATA_LOSS, "its digest does not fit"});
  ExpectNoFile("its digest does not fit");
  Send(content_.substr(0, 1'500'000));
  ExpectNoFile("only 1500000 of 2500000 bytes");
  std::ofstream(file_) << "mine";
  ExpectNoFile("only 1500000 of 2500000 bytes");
  EXPECT_EQ(ReadAll(file_), "mine") << "the file of before must stay";
}

TEST_F(FetchTest, WhatIsNotWhatWasCommittedLeavesNoFile) {
  std::string flipped = content_;
  flipped[1'234'567] ^= 1;
  Send(flipped);
  ExpectNoFile("fetch it again");
  Send(content_ + "x");
  ExpectNoFile("more came than");
  {
    absl::MutexLock lock(&service().mutex);
    service().fetch_parts.erase(service().fetch_parts.begin());
  }
  ExpectNoFile("before a header");
  {
    absl::MutexLock lock(&service().mutex);
    service().fetch_parts.clear();
  }
  ExpectNoFile("sent nothing");
  Send("");
  {
    absl::MutexLock lock(&service().mutex);
    service().fetch_parts.push_back(service().fetch_parts[0]);
  }
  ExpectNoFile("two headers");
}

TEST_F(FetchTest, WhatTheCoordinatorSaysIsPassedOn) {
  {
    absl::MutexLock lock(&service().mutex);
    service().fetch_parts.clear();
    service().fetch_status = {grpc::StatusCode::NOT_FOUND, "it has those of 20, 10"};
  }
  ExpectNoFile("it has those of 20, 10");
  const CliResult result = Run({"fetch", "1", "-o", dir_.Join("absent/file")});
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(Run({"fetch", "demo/walk"}).code, 2);
  EXPECT_EQ(Run({"fetch", "1", "--step", "-1"}).code, 2);
  EXPECT_EQ(Run({"fetch"}).code, 2);
  EXPECT_EQ(Run({}).code, 2);
}

// ---- verify

class VerifyTest : public CheckpointTest {
 protected:
  std::string Write(const std::string& name) {
    const double numbers[8] = {1, 2, 3};
    std::vector<TensorToWrite> tensors;
    for (const char* report : {"report.loss_sum", "report.grad_norm"})
      tensors.push_back({report, DType::kF64, {1}, numbers});
    for (const char* report : {"report.loss_steps", "report.reported_step"})
      tensors.push_back({report, DType::kI64, {1}, numbers});
    for (const char* weight : {"model.w", "adam_m.w", "adam_v.w"})
      tensors.push_back({weight, DType::kF32, {2, 3}, numbers});
    const std::string path = dir_.Join(name);
    EXPECT_TRUE(WriteSafetensors(path, tensors,
                                 {{"format", "coppice-checkpoint"},
                                  {"version", "1"},
                                  {"seed", "7"},
                                  {"step", "300"},
                                  {"run", R"({"task":"tense","depth":6})"}})
                    .ok());
    return path;
  }
  // No coordinator is given: the command must not ask one.
  static CliResult Verify(std::vector<std::string> args) {
    args.insert(args.begin(), {"checkpoint", "verify"});
    return RunCommand("127.0.0.1:1", std::move(args));
  }
};

TEST_F(VerifyTest, AGoodFileIsDescribedWithoutACoordinator) {
  const std::string good = Write("good");
  const CliResult result = Verify({good});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out,
            absl::StrCat(good, ": OK  tense depth 6 seed 7 at step 300, 7 tensors, 6 parameters, ",
                         "760 B, digest ", *DigestOfFile(good), "\n"));
}

TEST_F(VerifyTest, OneBadFileAmongGoodOnesIsExitCodeOne) {
  const std::string good = Write("good");
  const std::string bad = Write("bad");
  std::string content = ReadAll(bad);
  content[content.size() - 3] ^= 4;
  std::ofstream(bad, std::ios::binary) << content;
  const CliResult result = Verify({good, bad, dir_.Join("absent")});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.out, AllOf(HasSubstr(absl::StrCat(good, ": OK")),
                                HasSubstr(absl::StrCat(bad, ": BAD  the digest does not fit")),
                                HasSubstr("absent: BAD  ")));
  const CliResult json_result = Verify({good, bad, "--json"});
  EXPECT_EQ(json_result.code, 1);
  const auto json = nlohmann::json::parse(json_result.out);
  EXPECT_EQ(json["files"][0]["ok"], true);
  EXPECT_EQ(json["files"][0]["seed"], "7");
  EXPECT_EQ(json["files"][0]["parameters"], "6");
  EXPECT_EQ(json["files"][1]["ok"], false);
  EXPECT_THAT(json["files"][1]["problem"].get<std::string>(), HasSubstr("digest"));
}

}  // namespace
}  // namespace coppice::cli

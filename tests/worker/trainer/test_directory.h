#ifndef COPPICE_TESTS_WORKER_TRAINER_TEST_DIRECTORY_H_
#define COPPICE_TESTS_WORKER_TRAINER_TEST_DIRECTORY_H_

#include <cstdlib>
#include <filesystem>
#include <string>

#include "gtest/gtest.h"

namespace coppice::trainer {

// A separate folder for one test, removed at the test's end.
class TestDirectory {
 public:
  TestDirectory() {
    std::string pattern = ::testing::TempDir() + "coppice-trainer-XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~TestDirectory() { std::filesystem::remove_all(path_); }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace coppice::trainer

#endif  // COPPICE_TESTS_WORKER_TRAINER_TEST_DIRECTORY_H_

#include "coordinator/security/certificate_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include <algorithm>
#include <sstream>

#include "common/base/logging.h"
#include "tests/testing/fake_clock.h"

namespace coppice::security {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class Watch : public ::testing::Test {
 protected:
  void SetUp() override {
    previous_ = spdlog::default_logger();
    auto logger = std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log_));
    spdlog::set_default_logger(logger);
  }
  void TearDown() override { spdlog::set_default_logger(previous_); }
  // The number of the log's lines since the last call.
  int Lines() {
    const std::string text = log_.str();
    log_.str("");
    last_ = text.empty() ? last_ : text;
    return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
  }
  void Pass(absl::Duration time) {
    for (; time > absl::ZeroDuration(); time -= absl::Hours(1)) {
      clock_.Advance(absl::Hours(1));
      watch_.Settle();
    }
  }

  testing::FakeClock clock_;
  std::vector<WatchedCertificate> certificates_ = {
      {"server", "/tls/server.pem", clock_.Now() + absl::Hours(24 * 32), "renew it"}};
  std::ostringstream log_;
  std::string last_;
  std::shared_ptr<spdlog::logger> previous_;
  CertificateWatch watch_{&clock_, [this] { return certificates_; }};
};

TEST_F(Watch, ACoordinatorThatRunsForMonthsWarnsOnceADayAndAtOnceWhenItGetsWorse) {
  watch_.Start();
  EXPECT_EQ(Lines(), 0);
  EXPECT_EQ(watch_.states().at(0).warning, "");
  Pass(absl::Hours(24 * 2));
  EXPECT_EQ(Lines(), 0);
  Pass(absl::Hours(24));
  EXPECT_EQ(Lines(), 1);
  EXPECT_THAT(last_, AllOf(HasSubstr("/tls/server.pem ends on"), HasSubstr("in 29 days"),
                           HasSubstr("renew it"), HasSubstr("warn")));
  EXPECT_THAT(watch_.states().at(0).warning, HasSubstr("/tls/server.pem ends on"));
  Pass(absl::Hours(24 * 3));
  EXPECT_EQ(Lines(), 3) << "one a day";
  Pass(absl::Hours(24 * 19));  // seven days are left
  Lines();
  Pass(absl::Hours(1));
  EXPECT_EQ(Lines(), 1) << "at once when it is urgent";
  EXPECT_THAT(last_, AllOf(HasSubstr("error"), HasSubstr("no worker can connect with it after")));
  Pass(absl::Hours(24 * 7));
  EXPECT_THAT(log_.str(), HasSubstr("ended on"));
  EXPECT_LT(watch_.states().at(0).left, absl::ZeroDuration());
}

TEST_F(Watch, ARenewedCertificateIsNotWarnedOfAndTheNextOneIsAgain) {
  certificates_[0].until = clock_.Now() + absl::Hours(24);
  watch_.Start();
  EXPECT_EQ(Lines(), 1);
  certificates_[0].until = clock_.Now() + absl::Hours(24 * 365);
  watch_.Check();
  EXPECT_EQ(Lines(), 0);
  EXPECT_EQ(watch_.states().at(0).warning, "");
  certificates_[0].until = clock_.Now() + absl::Hours(24);
  watch_.Check();
  EXPECT_EQ(Lines(), 1);
}

TEST_F(Watch, EachFileIsWarnedOf) {
  certificates_[0].until = clock_.Now() + absl::Hours(24);
  certificates_.push_back({"clients", "/home/access.json", clock_.Now() + absl::Hours(24), "x"});
  watch_.Start();
  EXPECT_EQ(Lines(), 2);
  EXPECT_THAT(last_, HasSubstr("the clients' certificate /home/access.json"));
}

TEST_F(Watch, TheTimeThatIsLeftIsThatOfNow) {
  watch_.Start();
  clock_.Advance(absl::Minutes(30));
  EXPECT_EQ(watch_.states().at(0).left, absl::Hours(24 * 32) - absl::Minutes(30));
}

}  // namespace
}  // namespace coppice::security

// Attempts to get access: every method without a token, with a wrong one and with the wrong role;
// connections with a wrong certificate; searches for secrets in the output.
#include <gmock/gmock.h>
#include <spdlog/sinks/ostream_sink.h>

#include <atomic>
#include <optional>
#include <sstream>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/logging.h"
#include "coordinator/service/access.h"
#include "coordinator/service/channelz_view.h"
#include "tests/coordinator/service/all_methods.h"
#include "tests/coordinator/service/secured.h"

namespace coppice::service {
namespace {

using security::Role;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kHealth[] = "/grpc.health.v1.Health/Check";
constexpr char kListSweeps[] = "/coppice.v1.SweepService/ListSweeps";

TEST(Access, EveryMethodOfAllServicesHasItsRuleAndNoRuleIsLeftOver) {
  const std::vector<std::string> methods = AllMethods();
  EXPECT_GE(methods.size(), 31u);
  std::vector<std::string> ruled;
  for (const AccessRule& rule : AccessRules()) {
    if (absl::StartsWith(rule.path, "/coppice.")) ruled.emplace_back(rule.path);
  }
  EXPECT_THAT(ruled, ::testing::UnorderedElementsAreArray(methods))
      << "a new RPC needs a row in coordinator/service/access.cc";
  for (const std::string& path : methods) {
    EXPECT_FALSE(IsOpen(path));
    for (const Role role : {Role::kViewer, Role::kOperator, Role::kWorker}) {
      EXPECT_EQ(CheckAccess(role, path).ok(), MayCall(role, path))
          << path << " as " << security::RoleName(role);
    }
  }
}

TEST(Access, AMethodWithoutARuleIsForNobody) {
  for (const Role role : {Role::kViewer, Role::kOperator, Role::kWorker}) {
    for (const char* path : {"/coppice.v1.SweepService/DropAllTables", "", "/", "x"}) {
      EXPECT_TRUE(absl::IsPermissionDenied(CheckAccess(role, path)));
      EXPECT_FALSE(IsOpen(path));
    }
  }
}

class Intruder : public Secured {
 protected:
  void SetUp() override {
    previous_ = spdlog::default_logger();
    auto logger = std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log_));
    logger->set_level(spdlog::level::trace);
    spdlog::set_default_logger(logger);
  }
  void TearDown() override {
    server_.reset();
    spdlog::set_default_logger(previous_);
    for (const auto& [role, token] : tokens_) {
      EXPECT_THAT(log_.str(), Not(HasSubstr(token))) << "a secret in the log";
      EXPECT_THAT(said_, Not(HasSubstr(token))) << "a secret in an error";
    }
  }
  absl::Status Try(const std::shared_ptr<grpc::Channel>& channel, const std::string& path,
                   const Headers& headers = {}, const std::string& message = "") {
    absl::Status status = Call(channel, path, headers, message);
    absl::StrAppend(&said_, status.message(), "\n");
    return status;
  }

  std::ostringstream log_;
  std::string said_;
  std::shared_ptr<spdlog::logger> previous_;
};

TEST_F(Intruder, WithoutATokenNoMethodAnswers) {
  Start();
  const auto channel = Channel({.tls_ca = ca_});
  for (const std::string& path : AllMethods()) {
    const absl::Status status = Try(channel, path);
    EXPECT_TRUE(absl::IsUnauthenticated(status)) << path << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("--token-file")) << path;
  }
  EXPECT_TRUE(absl::IsUnauthenticated(
      Try(channel, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")));
  EXPECT_TRUE(absl::IsUnauthenticated(Try(channel, "/no.such.Service/Method")));
  EXPECT_TRUE(Try(channel, kHealth).ok()) << "whether it serves is no secret";
  EXPECT_THAT(log_.str(), HasSubstr("refused a call"));
}

TEST_F(Intruder, WithSomethingLikeATokenNoMethodAnswers) {
  Start();
  const auto channel = Channel({.tls_ca = ca_});
  const std::string good = tokens_[Role::kOperator];
  std::string flipped = good;
  flipped.back() = flipped.back() == 'A' ? 'B' : 'A';
  const std::vector<Headers> attempts = {
      {{"authorization", "Bearer coppice_" + std::string(43, 'A')}},
      {{"authorization", "Bearer " + good.substr(0, good.size() - 1)}},
      {{"authorization", "Bearer " + flipped}},
      {{"authorization", "Bearer  " + good}},
      {{"authorization", "Bearer " + good + good}},
      {{"authorization", "Bearer"}},
      {{"authorization", "Bearer "}},
      {{"authorization", good}},
      {{"authorization", "Basic " + good}},
      {{"authorization", "Bearer x"}, {"authorization", "Bearer " + good}},
      {{"token", good}},
      {{"authorization", "Bearer " + std::string(6000, 'x')}},
  };
  for (const Headers& headers : attempts) {
    EXPECT_TRUE(absl::IsUnauthenticated(Try(channel, kListSweeps, headers)))
        << headers.front().second;
  }
  for (const std::string& path : AllMethods()) {
    EXPECT_TRUE(absl::IsUnauthenticated(Try(channel, path, attempts.front()))) << path;
  }
  EXPECT_TRUE(Try(channel, kListSweeps, {{"authorization", "Bearer " + good}}).ok())
      << "otherwise all of the above proves nothing";
}

TEST_F(Intruder, AWrongRoleIsDeniedByEveryMethodAndToldWhichItNeeds) {
  Start();
  for (const Role role : {Role::kViewer, Role::kOperator, Role::kWorker}) {
    const auto channel = Channel(With(role));
    for (const std::string& path : AllMethods()) {
      const absl::Status status = Try(channel, path);
      if (MayCall(role, path)) {
        // The request is empty, so most handlers refuse it for missing fields.
        EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status) ||
                    absl::IsFailedPrecondition(status))
            << path << ": " << status;
      } else {
        EXPECT_TRUE(absl::IsPermissionDenied(status)) << path << ": " << status;
        EXPECT_THAT(std::string(status.message()),
                    HasSubstr(MayCall(Role::kWorker, path) ? "worker" : "operator"));
      }
    }
  }
}

TEST_F(Intruder, PlainTextToATlsPortGetsNothing) {
  Start();
  const auto channel = Channel({});
  for (const char* path : {kListSweeps, kHealth}) {
    EXPECT_TRUE(absl::IsUnavailable(Try(channel, path)));
  }
}

TEST_F(Intruder, AServerOfAnotherAuthorityGetsNoToken) {
  Start();
  const security::KeyPair other = security::MakeAuthority("test authority", valid_).value();
  rpc::Credentials credentials = With(Role::kViewer);
  credentials.tls_ca = Put("other-ca", other.certificate);
  EXPECT_TRUE(absl::IsUnavailable(Try(Channel(credentials), kListSweeps)));
}

TEST_F(Intruder, AServerWhoseCertificateHasExpiredGetsNoToken) {
  server_pair_ = Issue({"127.0.0.1"}, {valid_.from - absl::Hours(48), valid_.from});
  Start();
  EXPECT_TRUE(absl::IsUnavailable(Try(Channel(With(Role::kViewer)), kListSweeps)));
}

TEST_F(Intruder, AServerWhoseCertificateIsForAnotherHostGetsNoToken) {
  server_pair_ = Issue({"head.example", "10.0.0.7"}, valid_);
  Start();
  EXPECT_TRUE(absl::IsUnavailable(Try(Channel(With(Role::kViewer)), kListSweeps)));
  EXPECT_TRUE(
      absl::IsUnavailable(Try(Channel(With(Role::kViewer), "localhost:" + Port()), kListSweeps)));
}

TEST_F(Intruder, UnderMutualTlsOnlyACertificateOfTheAuthorityOpensTheDoor) {
  ServerOptions options = Options();
  options.security.client_authority = authority_.certificate;
  Start(options);
  rpc::Credentials credentials = With(Role::kViewer);
  EXPECT_TRUE(absl::IsUnavailable(Try(Channel(credentials), kListSweeps))) << "no certificate";
  EXPECT_TRUE(absl::IsUnavailable(Try(Channel(credentials), kHealth))) << "not even this";

  const security::KeyPair other = security::MakeAuthority("other", valid_).value();
  const security::KeyPair forged = security::IssueClientCertificate(other, "me", valid_).value();
  credentials.tls_cert = Put("forged-cert", forged.certificate);
  credentials.tls_key = Put("forged-key", forged.key);
  EXPECT_TRUE(absl::IsUnavailable(Try(Channel(credentials), kListSweeps))) << "another authority's";

  const security::KeyPair old = security::IssueClientCertificate(
                                    authority_, "me", {valid_.from - absl::Hours(48), valid_.from})
                                    .value();
  credentials.tls_cert = Put("old-cert", old.certificate);
  credentials.tls_key = Put("old-key", old.key);
  EXPECT_TRUE(absl::IsUnavailable(Try(Channel(credentials), kListSweeps))) << "expired";

  const security::KeyPair good = security::IssueClientCertificate(authority_, "me", valid_).value();
  credentials.tls_cert = Put("good-cert", good.certificate);
  credentials.tls_key = Put("good-key", good.key);
  EXPECT_TRUE(Try(Channel(credentials), kListSweeps).ok());
  credentials.token_file.clear();
  EXPECT_TRUE(absl::IsUnauthenticated(Try(Channel(credentials), kListSweeps)))
      << "a certificate is no token";
}

TEST_F(Intruder, TokensAreAskedForOnPlainLoopbackToo) {
  ServerOptions options = Options();
  options.security.certificate.clear();
  options.security.key.clear();
  Start(options);
  EXPECT_TRUE(absl::IsUnauthenticated(Try(Channel({}), kListSweeps)));
  const auto viewer = Channel({.token_file = token_files_[Role::kViewer]});
  EXPECT_TRUE(Try(viewer, kListSweeps).ok());
  EXPECT_TRUE(absl::IsPermissionDenied(Try(viewer, "/coppice.v1.SweepService/SubmitSweep")));
}

TEST_F(Intruder, NobodyServesThisMachineUnprotectedByAccident) {
  ServerOptions none, tls_only = Options();
  none.listen = "127.0.0.1:0";
  none.checkpoint_root = root_;
  tls_only.security.tokens = nullptr;
  for (ServerOptions* options : {&none, &tls_only}) {
    const absl::Status status = Server::Start(&core_, &clock_, *options).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << "other accounts could come in: " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("--insecure"));
  }
  none.insecure = Insecure::kThisMachine;
  Start(none);
  ServerOptions certificates = Options();
  certificates.security.tokens = nullptr;
  certificates.security.client_authority = authority_.certificate;
  Start(certificates);
}

TEST_F(Intruder, NobodyServesTheNetworkUnprotectedByAccident) {
  ServerOptions none, tls_only = Options(), tokens_only = Options();
  none.listen = tls_only.listen = tokens_only.listen = "0.0.0.0:0";
  tls_only.security.tokens = nullptr;
  tokens_only.security.certificate.clear();
  tokens_only.security.key.clear();
  for (ServerOptions* options : {&none, &tls_only, &tokens_only}) {
    const absl::Status status = Server::Start(&core_, &clock_, *options).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("--tls-dir"));
  }
  none.insecure = Insecure::kThisMachine;
  EXPECT_TRUE(absl::IsFailedPrecondition(Server::Start(&core_, &clock_, none).status()))
      << "this machine is not the network";
  tokens_only.insecure = Insecure::kAnywhere;
  EXPECT_TRUE(absl::IsFailedPrecondition(Server::Start(&core_, &clock_, tokens_only).status()))
      << "tokens in plain text are refused whatever was said";
}

TEST_F(Intruder, ARevokedTokenEndsItsStreamsAndOpensNoMore) {
  absl::Notification watched;
  EXPECT_CALL(core_, WatchSweep).WillRepeatedly([&](auto, auto) {
    if (!watched.HasBeenNotified()) watched.Notify();
    class None : public core::Subscription {};
    return absl::StatusOr<std::unique_ptr<core::Subscription>>(std::make_unique<None>());
  });
  Start();
  const auto viewer = v1::SweepService::NewStub(Channel(With(Role::kViewer)));
  v1::WatchSweepRequest request;
  request.set_name("s");
  CallContext context;
  const auto reader = viewer->WatchSweep(&context, request);
  watched.WaitForNotification();
  ASSERT_TRUE(table_.Remove("viewer").ok());
  WriteTable();
  registry_->Reload();
  v1::WatchSweepResponse event;
  while (reader->Read(&event)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(absl::IsUnauthenticated(Try(Channel(With(Role::kViewer)), kListSweeps)));
  EXPECT_TRUE(Try(Channel(With(Role::kOperator)), kListSweeps).ok()) << "the others stay";
}

TEST_F(Intruder, AClientTakesANewTokenFromItsFileWithoutARestart) {
  Start();
  const auto channel = Channel(With(Role::kViewer));
  EXPECT_TRUE(Try(channel, kListSweeps).ok());
  const std::string fresh = security::NewToken().value();
  ASSERT_TRUE(table_.Remove("viewer").ok());
  ASSERT_TRUE(table_.Add("viewer-2", Role::kViewer, clock_.Now(), fresh).ok());
  WriteTable();
  registry_->Reload();
  EXPECT_TRUE(absl::IsUnauthenticated(Try(channel, kListSweeps)));
  Put("viewer", fresh + "\n");
  EXPECT_TRUE(Try(channel, kListSweeps).ok());
}

// Counts the calls that arrived under their caller's name.
class Named : public ::testing::NiceMock<core::MockCoordinator> {
 public:
  void SetPaused(core::Caller caller, std::string name, bool,
                 Done<core::SweepSummary> done) override {
    ++(caller.name == name ? right : wrong);
    done(core::SweepSummary());
  }
  std::atomic<int> right = 0, wrong = 0;
};

TEST_F(Intruder, CallsOfTwoTokensOnOneConnectionAreToldApart) {
  const std::string other = security::NewToken().value();
  ASSERT_TRUE(table_.Add("olga", Role::kOperator, clock_.Now(), other).ok());
  WriteTable();
  registry_->Reload();
  Named core;
  ASSERT_TRUE(MakeDirectories(root_).ok());
  server_ = Server::Start(&core, &clock_, Options()).value();
  const auto channel = Channel({.tls_ca = ca_});
  std::vector<std::thread> callers;
  for (const auto& [name, token] : {std::pair{std::string("olga"), other},
                                    std::pair{std::string("operator"), tokens_[Role::kOperator]}}) {
    callers.emplace_back([&, name = name, token = token] {
      v1::PauseSweepRequest request;
      request.set_name(name);
      for (int i = 0; i < 1000; ++i) {
        EXPECT_TRUE(Call(channel, "/coppice.v1.SweepService/PauseSweep",
                         {{"authorization", "Bearer " + token}}, request.SerializeAsString())
                        .ok());
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(core.right, 2000);
  EXPECT_EQ(core.wrong, 0) << "calls noted under another's name";
  server_.reset();
}

TEST_F(Intruder, ANewCertificateIsForNewConnectionsAndTheDoorStaysAsItWas) {
  ServerOptions options = Options();
  options.security.client_authority = authority_.certificate;
  Start(options);
  rpc::Credentials member = With(Role::kViewer);
  const security::KeyPair client =
      security::IssueClientCertificate(authority_, "me", valid_).value();
  member.tls_cert = Put("client-cert", client.certificate);
  member.tls_key = Put("client-key", client.key);
  const auto open = Channel(member);
  EXPECT_TRUE(Try(open, kListSweeps).ok());

  const security::KeyPair elsewhere = Issue({"head.example"}, valid_);
  server_->ReplaceIdentity({elsewhere.certificate, elsewhere.key, authority_.certificate});
  EXPECT_TRUE(absl::IsUnavailable(Try(Channel(member), kListSweeps))) << "the new one is shown";
  EXPECT_TRUE(Try(open, kListSweeps).ok()) << "this connection was made before";

  const security::KeyPair renewed = Issue({"127.0.0.1"}, valid_);
  server_->ReplaceIdentity({renewed.certificate, renewed.key, authority_.certificate});
  EXPECT_TRUE(Try(Channel(member), kListSweeps).ok());
  EXPECT_TRUE(absl::IsUnavailable(Try(Channel(With(Role::kViewer)), kListSweeps)))
      << "no client certificate";

  const security::KeyPair other = security::MakeAuthority("other", valid_).value();
  server_->ReplaceIdentity({renewed.certificate, renewed.key, other.certificate});
  EXPECT_TRUE(absl::IsUnavailable(Try(Channel(member), kListSweeps))) << "the old authority's";
  rpc::Credentials successor = With(Role::kViewer);
  const security::KeyPair theirs = security::IssueClientCertificate(other, "me", valid_).value();
  successor.tls_cert = Put("their-cert", theirs.certificate);
  successor.tls_key = Put("their-key", theirs.key);
  EXPECT_TRUE(Try(Channel(successor), kListSweeps).ok());
  EXPECT_TRUE(Try(open, kListSweeps).ok());
}

TEST_F(Intruder, WhoMayLookIsToldWhenCertificatesEnd) {
  ServerOptions options = Options();
  const absl::Time end = clock_.Now() + absl::Hours(48);
  options.certificates = [end] {
    return std::vector<security::CertificateState>{
        {"server", end, absl::Hours(48), "the server's certificate ends"}};
  };
  Start(options);
  v1::GetServerInfoResponse info;
  v1::ListWorkersResponse workers;
  CallContext first, second;
  const auto viewer = v1::SweepService::NewStub(Channel(With(Role::kViewer)));
  ASSERT_TRUE(viewer->GetServerInfo(&first, {}, &info).ok());
  EXPECT_EQ(info.address(), server_->address());
  ASSERT_EQ(info.certificates_size(), 1);
  EXPECT_EQ(info.certificates(0).kind(), "server");
  EXPECT_EQ(info.certificates(0).seconds_left(), 48 * 3600);
  EXPECT_EQ(info.certificates(0).ends_ms(), absl::ToUnixMillis(end));
  ASSERT_TRUE(viewer->ListWorkers(&second, {}, &workers).ok());
  ASSERT_EQ(workers.warnings_size(), 1);
  EXPECT_EQ(workers.warnings(0), info.certificates(0).warning());
}

TEST_F(Intruder, GuessingDoesNotFillTheLog) {
  Start();
  const auto channel = Channel({.tls_ca = ca_});
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(absl::IsUnauthenticated(Try(channel, kListSweeps)));
  const auto lines = [this] {
    const std::string text = log_.str();
    size_t count = 0;
    for (size_t at = 0; (at = text.find("refused a call", at)) != std::string::npos; ++at) ++count;
    return count;
  };
  EXPECT_EQ(lines(), 1u);
  clock_.Advance(absl::Seconds(11));
  EXPECT_TRUE(absl::IsUnauthenticated(Try(channel, kListSweeps)));
  EXPECT_EQ(lines(), 2u);
  EXPECT_THAT(log_.str(), HasSubstr("49 more"));
  // The caller's address, as the kernel has it.
  const auto opened = ChannelzView().NewlyOpened();
  ASSERT_FALSE(opened.empty());
  EXPECT_THAT(opened.back().peer, ::testing::StartsWith("ipv4:127.0.0.1:"));
  EXPECT_THAT(log_.str(), HasSubstr(absl::StrCat("refused a call from ", opened.back().peer, " of ",
                                                 kListSweeps)));
}

TEST_F(Intruder, TheLogNamesTheOneWhoseTokenHasTheWrongRole) {
  Start();
  // Other callers, which connected earlier and stay.
  const auto operators = Channel(With(Role::kOperator));
  EXPECT_TRUE(Try(operators, kListSweeps).ok());
  const auto viewer = Channel(With(Role::kViewer));
  EXPECT_TRUE(Try(viewer, kListSweeps).ok());
  const std::string peer = ChannelzView().NewlyOpened().back().peer;
  EXPECT_TRUE(Try(operators, kListSweeps).ok());
  EXPECT_TRUE(absl::IsPermissionDenied(Try(viewer, "/coppice.v1.SweepService/CancelJobs")));
  EXPECT_THAT(log_.str(),
              HasSubstr(absl::StrCat("refused a call from ", peer,
                                     " of /coppice.v1.SweepService/CancelJobs by the token viewer: "
                                     "PERMISSION_DENIED")));
}

// The guard finds connections by these names.
TEST(ChannelzView, NamesPeersAsTheirAddressesAreWritten) {
  EXPECT_EQ(PeerOfSocketName("chttp2 ipv4:127.0.0.1:34838"), "ipv4:127.0.0.1:34838");
  EXPECT_EQ(PeerOfSocketName("chttp2 ipv6:%5B::1%5D:34838"), "ipv6:[::1]:34838");
  EXPECT_EQ(PeerOfSocketName("chttp2 unix:/run/x"), "");
}

using Watched = Secured;

TEST_F(Watched, TheTransportTellsOfEachConnectionAndItsMessages) {
  for (const char* listen : {"127.0.0.1:0", "[::1]:0"}) {
    ServerOptions options = Options();
    options.listen = listen;
    server_.reset();
    Start(options);
    ChannelzView view;
    EXPECT_TRUE(view.NewlyOpened().empty());
    const auto channel = Channel(With(security::Role::kViewer), "localhost:" + Port());
    for (int i = 0; i < 3; ++i) Call(channel, "/coppice.v1.SweepService/ListSweeps").IgnoreError();
    const auto opened = view.NewlyOpened();
    ASSERT_EQ(opened.size(), 1u) << listen;
    EXPECT_THAT(opened[0].peer,
                ::testing::StartsWith(listen[0] == '[' ? "ipv6:[::1]:" : "ipv4:127."));
    // gRPC counts a response after it is written. The client may have it earlier, and there is no
    // notice.
    std::optional<TransportView::Counters> counters = view.CountersOf(opened[0].id);
    const absl::Time until = absl::Now() + absl::Seconds(20);
    while (counters.has_value() && counters->messages_sent < 3 && absl::Now() < until) {
      absl::SleepFor(absl::Milliseconds(1));
      counters = view.CountersOf(opened[0].id);
    }
    ASSERT_TRUE(counters.has_value());
    EXPECT_EQ(counters->calls, 3u);
    EXPECT_EQ(counters->messages, 3u);
    EXPECT_EQ(counters->messages_sent, 3u);
    EXPECT_FALSE(view.CountersOf(opened[0].id + 1000).has_value());
  }
}

}  // namespace
}  // namespace coppice::service

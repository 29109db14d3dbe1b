// Commands that a client runs, between pools.proto and the pools' values.
#include "common/base/names.h"
#include "common/base/status_macros.h"
#include "coordinator/service/checks.h"
#include "coordinator/service/convert_pools.h"

namespace coppice::service {
namespace {

constexpr size_t kMaxSessionBytes = 100;
constexpr size_t kMaxCommandMessageBytes = 4096;
constexpr size_t kMaxCommandOutputBytes = 8 << 20;
constexpr int kMaxAnswers = 1000;

absl::StatusOr<pools::CommandAnswer> AnswerFromProto(const v1::CommandAnswer& answer) {
  COPPICE_RETURN_IF_ERROR(CheckText("message", answer.message(), kMaxCommandMessageBytes));
  COPPICE_RETURN_IF_ERROR(CheckText("out", answer.out(), kMaxCommandOutputBytes));
  COPPICE_RETURN_IF_ERROR(CheckText("err", answer.err(), kMaxCommandOutputBytes));
  pools::CommandAnswer out;
  out.id = answer.id();
  out.result.code = answer.exit_code();
  out.result.out = answer.out();
  out.result.err = answer.err();
  switch (answer.end()) {
    case v1::CommandAnswer::EXITED:
      return out;
    case v1::CommandAnswer::CUT_OFF:
      out.result.status = absl::DeadlineExceededError(answer.message());
      return out;
    case v1::CommandAnswer::NOT_BEGUN:
      out.result.status = absl::FailedPreconditionError(answer.message());
      return out;
    default:
      return Bad("end", "must be EXITED, CUT_OFF or NOT_BEGUN");
  }
}

}  // namespace

absl::StatusOr<pools::CommandsRequest> CommandsRequestFromProto(
    const v1::RunCommandsRequest& request) {
  if (!IsPlainName(request.session(), kMaxSessionBytes)) return Bad("session", "is no plain name");
  COPPICE_RETURN_IF_ERROR(CheckName("host", request.host()));
  if (request.answers_size() > kMaxAnswers) return Bad("answers", "are too many");
  pools::CommandsRequest out;
  out.session = request.session();
  out.host = request.host();
  out.leaving = request.leaving();
  for (const v1::CommandAnswer& answer : request.answers()) {
    COPPICE_ASSIGN_OR_RETURN(out.answers.emplace_back(), AnswerFromProto(answer));
  }
  return out;
}

void ToProto(const pools::CommandsReply& reply, v1::RunCommandsResponse* out) {
  out->set_settled(reply.settled);
  for (const pools::HandedCommand& handed : reply.commands) {
    v1::CommandToRun* const to = out->add_commands();
    to->set_id(handed.id);
    for (const std::string& argument : handed.command.argv) to->add_argv(argument);
    to->set_input(handed.command.input);
    to->set_folder(handed.command.folder);
    to->set_limit_ms(absl::ToInt64Milliseconds(handed.command.time_limit));
  }
}

}  // namespace coppice::service

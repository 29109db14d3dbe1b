#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/commands/commands.h"
#include "cli/json.h"
#include "common/base/printable.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

struct NoteOptions {
  std::string sweep;
  std::vector<std::string> text;
  bool clear = false;
};

struct TagOptions {
  std::string sweep;
  std::vector<std::string> tags;
};

absl::StatusOr<v1::SweepSummary> Annotate(Client* client, const v1::AnnotateSweepRequest& request) {
  COPPICE_ASSIGN_OR_RETURN(v1::AnnotateSweepResponse response, client->AnnotateSweep(request));
  return std::move(*response.mutable_sweep());
}

absl::StatusOr<v1::SweepSummary> SummaryOf(Client* client, const std::string& sweep) {
  COPPICE_ASSIGN_OR_RETURN(v1::GetSweepResponse response, client->GetSweep(sweep));
  return std::move(*response.mutable_sweep());
}

absl::StatusOr<int> ShowOrWriteNote(const NoteOptions& options, Context* context) {
  if (options.clear && !options.text.empty())
    return absl::InvalidArgumentError("give a text or --clear, not both");
  const std::string text = absl::StrJoin(options.text, " ");
  if (!options.text.empty() && text.empty())
    return absl::InvalidArgumentError("the note is empty; --clear removes one");
  const bool changes = options.clear || !text.empty();
  COPPICE_ASSIGN_OR_RETURN(Client * client,
                           changes ? context->ConnectToChange() : context->Connect());
  v1::AnnotateSweepRequest request;
  COPPICE_ASSIGN_OR_RETURN(*request.mutable_name(), NamedSweep(options.sweep, client));
  request.set_note(text);
  COPPICE_ASSIGN_OR_RETURN(const v1::SweepSummary sweep,
                           changes ? Annotate(client, request) : SummaryOf(client, request.name()));
  if (context->json) {
    context->out << ToJson(sweep);
  } else if (options.clear) {
    context->out << sweep.name() << " has no note\n";
  } else if (changes) {
    context->out << "noted at " << sweep.name() << "\n";
  } else {
    context->out << (sweep.note().empty() ? absl::StrCat(sweep.name(), " has no note")
                                          : Printable(sweep.note()))
                 << "\n";
  }
  return kExitDone;
}

absl::StatusOr<int> Tag(const TagOptions& options, Context* context) {
  v1::AnnotateSweepRequest request;
  for (const std::string& word : options.tags) {
    if (word.size() < 2 || (word[0] != '+' && word[0] != '-')) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", Printable(word),
                       "' is no change of tags; +TAG adds one, -TAG removes "
                       "one"));
    }
    (word[0] == '+' ? request.add_add_tags() : request.add_remove_tags())->assign(word.substr(1));
  }
  const bool changes = !options.tags.empty();
  COPPICE_ASSIGN_OR_RETURN(Client * client,
                           changes ? context->ConnectToChange() : context->Connect());
  COPPICE_ASSIGN_OR_RETURN(*request.mutable_name(), NamedSweep(options.sweep, client));
  COPPICE_ASSIGN_OR_RETURN(const v1::SweepSummary sweep,
                           changes ? Annotate(client, request) : SummaryOf(client, request.name()));
  if (context->json) {
    context->out << ToJson(sweep);
  } else {
    context->out << sweep.name()
                 << (sweep.tags().empty()
                         ? " has no tags"
                         : absl::StrCat(" has the tags ", absl::StrJoin(sweep.tags(), ", ")))
                 << "\n";
  }
  return kExitDone;
}

}  // namespace

std::vector<std::string> WithTagsLast(const std::vector<std::string>& args) {
  std::vector<std::string> others, tags;
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (arg == "--") return args;
    const bool sign = arg.size() > 1 && (arg[0] == '+' || arg[0] == '-');
    const bool tag = sign && arg[1] != '-' && arg != "-h";
    (tag ? tags : others).push_back(arg);
  }
  if (tags.empty()) return args;
  others.push_back("--");
  others.insert(others.end(), tags.begin(), tags.end());
  return others;
}

void AddNote(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand("note", "Show, write or remove the note of a sweep");
  const auto options = std::make_shared<NoteOptions>();
  command->add_option("SWEEP", options->sweep, "Its name")->required();
  command->add_option("TEXT", options->text, "The new note; without it, the note is shown");
  command->add_flag("--clear", options->clear, "Remove the note");
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return ShowOrWriteNote(*options, context); }; });
}

void AddTag(CLI::App* app, Context* context, Action* action) {
  CLI::App* command = app->add_subcommand("tag", "Show or change the tags of a sweep");
  const auto options = std::make_shared<TagOptions>();
  command->add_option("SWEEP", options->sweep, "Its name")->required();
  command->add_option("TAG", options->tags, "+TAG adds one, -TAG removes one; none: show them");
  AddJsonFlag(command, context);
  command->callback([=] { *action = [=] { return Tag(*options, context); }; });
}

}  // namespace coppice::cli

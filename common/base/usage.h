// What is wrong with a command line, with what a misspelt flag or command most likely was. Takes
// CLI11's application as a template, so that the library itself needs no CLI11.
#ifndef COPPICE_COMMON_BASE_USAGE_H_
#define COPPICE_COMMON_BASE_USAGE_H_

#include <string>
#include <vector>

namespace coppice {

// The names that a command line may use at its end: flags of the application and of the commands
// named so far, and the commands below the last of these.
struct UsageNames {
  std::vector<std::string> flags;  // with their dashes
  std::vector<std::string> commands;
  bool takes_words = false;                // beside commands: files, sweeps
  std::vector<std::string> switches = {};  // those of `flags` that take no value
};

// "; did you mean --depth?" for the first unknown flag or, where only commands may stand, unknown
// word of `args`; "" where there is none or nothing is near it.
std::string UsageAdvice(const UsageNames& names, const std::vector<std::string>& args);

template <typename App>
UsageNames NamesOf(const App& app, const std::vector<std::string>& args) {
  UsageNames names;
  const auto all = [](const App*) { return true; };
  std::vector<const App*> path = {&app};
  for (const std::string& arg : args) {
    for (const App* command : path.back()->get_subcommands(all)) {
      if (command->get_name() != arg) continue;
      path.push_back(command);
      break;
    }
  }
  for (const App* each : path) {
    for (const auto* option : each->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        names.flags.push_back("--" + name);
        if (option->get_items_expected_max() == 0) names.switches.push_back("--" + name);
      }
      if (each == path.back() && option->get_positional()) names.takes_words = true;
    }
    // A command that was found is not to be found missing.
    if (each != &app) names.commands.push_back(each->get_name());
  }
  for (const App* command : path.back()->get_subcommands(all)) {
    if (!command->get_group().empty()) names.commands.push_back(command->get_name());
  }
  return names;
}

template <typename App>
std::string UsageAdvice(const App& app, const std::vector<std::string>& args) {
  return UsageAdvice(NamesOf(app, args), args);
}

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_USAGE_H_

#include "tests/worker/trainer/tasks/oracle.h"

#include <algorithm>
#include <set>
#include <utility>

namespace coppice::trainer {
namespace {

const char kNounList[] =
    "newt orangutan peacock quail raven salamander tyrannosaurus unicorn vulture walrus xylophone "
    "yak zebra";
const char kIntransitiveList[] = "giggle smile sleep swim wait move change read eat";
const char kTransitiveList[] =
    "entertain amuse high_five applaud confuse admire accept remember comfort";

bool IsPlural(const std::string& noun) {
  static const auto* const singular = [] {
    auto* set = new std::set<std::string>();
    for (const std::string& word : SplitWords(kNounList)) set->insert(word);
    return set;
  }();
  return singular->count(noun) == 0;
}

std::string Past(const std::string& base) {
  static const std::map<std::string, std::string> irregular = {
      {"sleep", "slept"}, {"swim", "swam"}, {"read", "read"}, {"eat", "ate"}};
  const auto it = irregular.find(base);
  if (it != irregular.end()) return it->second;
  return base.back() == 'e' ? base + "d" : base + "ed";
}

std::string Join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

}  // namespace

std::vector<std::string> SplitWords(const std::string& text) {
  std::vector<std::string> words;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find(' ', start), text.size());
    words.emplace_back(text, start, end - start);
    start = end + 1;
  }
  return words;
}

Oracle::Oracle(Task task) : tense_(task == Task::kTense) {
  for (const auto& word : SplitWords("the some my your our her")) tags_[word] = 'D';
  for (const auto& word : SplitWords("around near with upon by behind above below")) {
    tags_[word] = 'P';
  }
  for (const auto& word : SplitWords("who that")) tags_[word] = 'R';
  for (const auto& word : SplitWords(kNounList)) {
    tags_[word] = 'N';
    tags_[word + (word.back() == 's' ? "es" : "s")] = 'N';
  }
  if (!tense_) {
    for (const auto& word : SplitWords("do does don't doesn't")) tags_[word] = 'X';
  }
  for (const auto& [list, tag] : {std::pair{kIntransitiveList, 'I'}, {kTransitiveList, 'T'}}) {
    for (const auto& base : SplitWords(list)) {
      tags_[tense_ ? Past(base) : base] = tag;
      base_[Past(base)] = base;
    }
  }
  const std::string x = tense_ ? "" : "X";
  const std::map<std::string, std::string> phrases = {{"plain", "DN"},
                                                      {"prep", "DNPDN"},
                                                      {"orc", "DNRDN" + x + "T"},
                                                      {"src_i", "DNR" + x + "I"},
                                                      {"src_t", "DNR" + x + "TDN"}};
  for (const auto& [subject, pattern] : phrases) {
    shapes_[pattern + x + "I"] = {subject, "intrans", pattern.size()};
    for (const auto& [object, object_pattern] : phrases) {
      shapes_[pattern + x + "T" + object_pattern] = {subject, object, pattern.size()};
    }
  }
}

std::string Oracle::Tags(const std::vector<std::string>& words) const {
  std::string tags;
  for (const std::string& word : words) {
    const auto it = tags_.find(word);
    tags += it == tags_.end() ? '#' : it->second;
  }
  return tags;
}

std::string Oracle::Present(const std::string& past, bool plural) const {
  const std::string& base = base_.at(past);
  return plural ? base : base + "s";
}

// The noun that a verb agrees with is the one just before it. After a relative pronoun it is the
// noun before the pronoun; for the main verb it is the first of the sentence.
std::string Oracle::Expected(const Reading& reading, const std::vector<std::string>& words,
                             const std::string& tags) const {
  std::vector<std::string> out = words;
  if (reading.task_word == "quest") {
    const std::string aux = out[reading.main_verb - 1];
    out.erase(out.begin() + reading.main_verb - 1);
    out.insert(out.begin(), aux);
    return Join(out) + " ?";
  }
  if (reading.task_word != "PRESENT") return Join(out) + " .";
  for (size_t i = 0; i < words.size(); ++i) {
    if (tags[i] != 'I' && tags[i] != 'T') continue;
    size_t noun = i - 1;
    if (tags[i - 1] == 'R') noun = i - 2;
    if (static_cast<int>(i) == reading.main_verb) noun = 1;
    out[i] = Present(words[i], IsPlural(words[noun]));
  }
  return Join(out) + " .";
}

Reading Oracle::Read(const std::string& line) const {
  Reading reading;
  const size_t tab = line.find('\t');
  if (tab == std::string::npos) {
    reading.error = "no tab";
    return reading;
  }
  std::vector<std::string> words = SplitWords(line.substr(0, tab));
  if (words.size() < 3 || words[words.size() - 2] != ".") {
    reading.error = "no full stop";
    return reading;
  }
  reading.task_word = words.back();
  words.resize(words.size() - 2);
  reading.sentence = Join(words);
  const std::string tags = Tags(words);
  const auto shape = shapes_.find(tags);
  if (shape == shapes_.end()) {
    reading.error = "not a sentence: " + tags;
    return reading;
  }
  reading.subject = shape->second.subject;
  reading.object = shape->second.object;
  const size_t length = shape->second.subject_length;
  reading.main_verb = static_cast<int>(length) + (tense_ ? 0 : 1);
  for (size_t i = 0; i < words.size(); ++i) {
    if (tags[i] != 'X') continue;
    reading.auxiliaries.push_back(words[i]);
    const size_t noun = i == length ? 1 : tags[i - 1] == 'R' ? i - 2 : i - 1;
    if (IsPlural(words[noun]) != (words[i].substr(0, 4) != "does")) {
      reading.error = "no agreement: " + words[i];
    }
  }
  size_t nearest = length - 1;
  while (tags[nearest] != 'N') --nearest;
  reading.nearest_noun_agrees = IsPlural(words[nearest]) == IsPlural(words[1]);
  const std::string expected = Expected(reading, words, tags);
  if (line.substr(tab + 1) != expected) reading.error = "expected the output " + expected;
  return reading;
}

}  // namespace coppice::trainer

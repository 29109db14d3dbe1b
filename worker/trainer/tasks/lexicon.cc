#include "worker/trainer/tasks/lexicon.h"

#include <string>
#include <utility>

namespace coppice::trainer {
namespace {

constexpr const char* kDeterminerWords[Lexicon::kDeterminers] = {"the",  "some", "my",
                                                                 "your", "our",  "her"};
constexpr const char* kNounWords[Lexicon::kNouns][2] = {
    {"newt", "newts"},
    {"orangutan", "orangutans"},
    {"peacock", "peacocks"},
    {"quail", "quails"},
    {"raven", "ravens"},
    {"salamander", "salamanders"},
    {"tyrannosaurus", "tyrannosauruses"},
    {"unicorn", "unicorns"},
    {"vulture", "vultures"},
    {"walrus", "walruses"},
    {"xylophone", "xylophones"},
    {"yak", "yaks"},
    {"zebra", "zebras"},
};
// [transitive][lemma]: base, third person, past.
constexpr const char* kVerbWords[2][Lexicon::kVerbs][3] = {
    {
        {"giggle", "giggles", "giggled"},
        {"smile", "smiles", "smiled"},
        {"sleep", "sleeps", "slept"},
        {"swim", "swims", "swam"},
        {"wait", "waits", "waited"},
        {"move", "moves", "moved"},
        {"change", "changes", "changed"},
        {"read", "reads", "read"},
        {"eat", "eats", "ate"},
    },
    {
        {"entertain", "entertains", "entertained"},
        {"amuse", "amuses", "amused"},
        {"high_five", "high_fives", "high_fived"},
        {"applaud", "applauds", "applauded"},
        {"confuse", "confuses", "confused"},
        {"admire", "admires", "admired"},
        {"accept", "accepts", "accepted"},
        {"remember", "remembers", "remembered"},
        {"comfort", "comforts", "comforted"},
    },
};
// [plural][negated]
constexpr const char* kAuxiliaryWords[2][2] = {{"does", "doesn't"}, {"do", "don't"}};
constexpr const char* kPrepositionWords[Lexicon::kPrepositions] = {
    "around", "near", "with", "upon", "by", "behind", "above", "below"};
constexpr const char* kRelativeWords[Lexicon::kRelatives] = {"who", "that"};

Vocabulary WordsOf(Task task) {
  const bool tense = task == Task::kTense;
  std::vector<std::string> words = tense ? std::vector<std::string>{".", "PAST", "PRESENT"}
                                         : std::vector<std::string>{".", "?", "decl", "quest"};
  for (const char* word : kDeterminerWords) words.push_back(word);
  for (const auto& noun : kNounWords) words.insert(words.end(), {noun[0], noun[1]});
  for (const auto& verbs : kVerbWords) {
    for (const auto& verb : verbs) {
      words.push_back(verb[0]);
      if (tense) words.insert(words.end(), {verb[1], verb[2]});
    }
  }
  for (const char* word : kPrepositionWords) words.push_back(word);
  for (const char* word : kRelativeWords) words.push_back(word);
  if (!tense) {
    for (const auto& pair : kAuxiliaryWords) words.insert(words.end(), {pair[0], pair[1]});
  }
  return Vocabulary(std::move(words));
}

int FormIndex(VerbForm form) { return form == kBase ? 0 : form == kThirdPerson ? 1 : 2; }

}  // namespace

absl::string_view Describe(WordClass word_class) {
  switch (word_class) {
    case WordClass::kNone:
      return "nothing";
    case WordClass::kDeterminer:
      return "a determiner";
    case WordClass::kNoun:
      return "a noun";
    case WordClass::kIntransitive:
      return "an intransitive verb";
    case WordClass::kTransitive:
      return "a transitive verb";
    case WordClass::kAuxiliary:
      return "an auxiliary";
    case WordClass::kPreposition:
      return "a preposition";
    case WordClass::kRelative:
      return "a relative pronoun";
    case WordClass::kTaskWord:
      return "a task word";
    case WordClass::kPunctuation:
      return "a punctuation mark";
  }
  return "nothing";
}

const Lexicon& Lexicon::For(Task task) {
  static const Lexicon* const question = new Lexicon(Task::kQuestion);
  static const Lexicon* const tense = new Lexicon(Task::kTense);
  return task == Task::kTense ? *tense : *question;
}

Lexicon::Lexicon(Task task)
    : has_auxiliaries_(task == Task::kQuestion),
      vocabulary_(WordsOf(task)),
      info_(static_cast<size_t>(vocabulary_.size())) {
  for (int i = 0; i < kDeterminers; ++i) {
    determiners_[i] = Add(kDeterminerWords[i], {WordClass::kDeterminer});
  }
  for (int i = 0; i < kNouns; ++i) {
    for (const bool plural : {false, true}) {
      nouns_[i][plural] =
          Add(kNounWords[i][plural], {WordClass::kNoun, plural, static_cast<int8_t>(i)});
    }
  }
  AddVerbs(WordClass::kIntransitive, !has_auxiliaries_);
  AddVerbs(WordClass::kTransitive, !has_auxiliaries_);
  for (int i = 0; i < kPrepositions; ++i) {
    prepositions_[i] = Add(kPrepositionWords[i], {WordClass::kPreposition});
  }
  for (int i = 0; i < kRelatives; ++i) {
    relatives_[i] = Add(kRelativeWords[i], {WordClass::kRelative});
  }
  for (const bool plural : {false, true}) {
    for (const bool negated : {false, true}) {
      if (!has_auxiliaries_) continue;
      auxiliaries_[plural][negated] =
          Add(kAuxiliaryWords[plural][negated], {WordClass::kAuxiliary, plural});
    }
  }
  for (const char* word : {"decl", "quest", "PAST", "PRESENT"}) {
    if (Token(word) >= 0) Add(word, {WordClass::kTaskWord});
  }
  for (const char* word : {".", "?"}) {
    if (Token(word) >= 0) Add(word, {WordClass::kPunctuation});
  }
}

int32_t Lexicon::Add(absl::string_view word, const WordInfo& info) {
  const int32_t token = vocabulary_.Id(word);
  WordInfo& entry = info_[static_cast<size_t>(token)];
  const int8_t forms = entry.forms;  // of the same lemma: `read`
  entry = info;
  entry.forms |= forms;
  return token;
}

void Lexicon::AddVerbs(WordClass word_class, bool inflected) {
  const bool transitive = word_class == WordClass::kTransitive;
  for (int lemma = 0; lemma < kVerbs; ++lemma) {
    for (const VerbForm form : {kBase, kThirdPerson, kPast}) {
      if (form != kBase && !inflected) continue;
      const int index = FormIndex(form);
      verbs_[transitive][lemma][index] =
          Add(kVerbWords[transitive][lemma][index],
              {word_class, false, static_cast<int8_t>(lemma), static_cast<int8_t>(form)});
    }
  }
}

int32_t Lexicon::Verb(WordClass word_class, int lemma, VerbForm form) const {
  return verbs_[word_class == WordClass::kTransitive][lemma][FormIndex(form)];
}

int32_t Lexicon::Present(int32_t verb, bool plural) const {
  const WordInfo& info = Info(verb);
  return Verb(info.word_class, info.lemma, plural ? kBase : kThirdPerson);
}

std::vector<int8_t> Lexicon::PartsOfSpeech() const {
  std::vector<int8_t> classes(info_.size());
  for (size_t token = 0; token < info_.size(); ++token) {
    WordClass word_class = info_[token].word_class;
    if (word_class == WordClass::kIntransitive) word_class = WordClass::kTransitive;
    classes[token] = static_cast<int8_t>(word_class);
  }
  int8_t next = static_cast<int8_t>(WordClass::kPunctuation) + 1;
  for (const int32_t token : {vocabulary_.eos(), vocabulary_.sos(), Token("?")}) {
    if (token >= 0) classes[static_cast<size_t>(token)] = next++;
  }
  return classes;
}

}  // namespace coppice::trainer

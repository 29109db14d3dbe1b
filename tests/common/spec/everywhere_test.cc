// Every setting of the table must exist wherever settings occur: in messages, in the trainer's
// reader and flags, in the fields that training reads, in the documentation.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <gtest/gtest.h>

#include <cmath>
#include <iterator>
#include <limits>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/settings/markdown.h"
#include "common/settings/table.h"
#include "common/spec/internal.h"
#include "common/spec/spec.h"
#include "worker/trainer/config/config.h"
#include "worker/trainer/config/run_fields.h"
#include "worker/trainer/config/run_flags.h"
#include "worker/trainer/config/settings_json.h"

namespace coppice {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using settings::IntegerRange;
using settings::NumberRange;
using settings::Setting;
using settings::Value;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;

// Maps the path ("train.steps") of every setting in a message to its field.
void AddLeaves(const Descriptor& message, const std::string& prefix,
               std::map<std::string, const FieldDescriptor*>* leaves) {
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor* field = message.field(i);
    const std::string path = absl::StrCat(prefix, field->name());
    if (field->message_type() == nullptr) {
      leaves->emplace(path, field);
    } else {
      AddLeaves(*field->message_type(), path + ".", leaves);
    }
  }
}

TEST(EveryPlace, TheMessageHasTheSettingsOfTheTableAndNoOther) {
  std::map<std::string, const FieldDescriptor*> leaves;
  AddLeaves(*v1::RunConfig::descriptor(), "", &leaves);
  for (const Setting& setting : settings::RunSettings().settings()) {
    const auto leaf = leaves.find(setting.path);
    ASSERT_NE(leaf, leaves.end()) << setting.path << " is missing in sweep.proto";
    const auto type = leaf->second->cpp_type();
    if (const auto* range = std::get_if<IntegerRange>(&setting.range)) {
      EXPECT_EQ(type, FieldDescriptor::CPPTYPE_UINT32) << setting.path;
      EXPECT_GE(range->low, 0) << setting.path;
      EXPECT_LE(range->high, int64_t{std::numeric_limits<uint32_t>::max()}) << setting.path;
    } else if (std::holds_alternative<NumberRange>(setting.range)) {
      EXPECT_EQ(type, FieldDescriptor::CPPTYPE_DOUBLE) << setting.path;
    } else {
      EXPECT_EQ(type, FieldDescriptor::CPPTYPE_STRING) << setting.path;
    }
    leaves.erase(leaf);
  }
  // The settings of a program of the user's own are its own.
  for (auto leaf = leaves.begin(); leaf != leaves.end();)
    leaf = leaf->first.rfind("program.", 0) == 0 ? leaves.erase(leaf) : std::next(leaf);
  for (const auto& [path, field] : leaves) ADD_FAILURE() << path << " is missing in the table";
}

TEST(EveryPlace, TheTrainerHasAFieldForEachSettingThatItReads) {
  std::set<std::string> bound;
  for (const trainer::RunField& field : trainer::RunFields()) {
    const Setting* setting = settings::RunSettings().Find(field.path);
    ASSERT_NE(setting, nullptr) << field.path << " is missing in the table";
    EXPECT_FALSE(setting->for_worker) << field.path;
    EXPECT_TRUE(bound.insert(field.path).second) << field.path << " is there twice";
  }
  for (const Setting& setting : settings::RunSettings().settings()) {
    EXPECT_EQ(bound.count(setting.path), setting.for_worker ? 0 : 1)
        << setting.path << " is missing in run_fields.cc";
  }
}

// Values at and next to the bounds of a setting's range.
std::vector<Value> Edges(const Setting& setting) {
  std::vector<Value> values;
  if (const auto* range = std::get_if<IntegerRange>(&setting.range)) {
    for (const int64_t value : {range->low - 1, range->low, range->low + 1, range->high - 1,
                                range->high, range->high + 1}) {
      if (value >= 0 && value <= std::numeric_limits<uint32_t>::max()) values.push_back(value);
    }
  } else if (const auto* number = std::get_if<NumberRange>(&setting.range)) {
    for (const double bound : {number->low, number->high}) {
      values.insert(values.end(),
                    {std::nextafter(bound, -INFINITY), bound, std::nextafter(bound, INFINITY)});
    }
  } else if (const auto* words = std::get_if<settings::WordRange>(&setting.range)) {
    for (const std::string& word : words->words) values.push_back(word);
    for (const auto& [word, why] : words->refused) values.push_back(word);
    values.push_back("other");
  } else {
    values = {"/a", "/a\033[31m"};
  }
  return values;
}

void SetIn(Message* message, const std::string& path, const Value& value) {
  const size_t dot = path.find('.');
  const FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(path.substr(0, dot));
  ASSERT_NE(field, nullptr) << path;
  const auto& reflection = *message->GetReflection();
  if (dot != std::string::npos)
    return SetIn(reflection.MutableMessage(message, field), path.substr(dot + 1), value);
  if (const auto* whole = std::get_if<int64_t>(&value)) {
    reflection.SetUInt32(message, field, static_cast<uint32_t>(*whole));
  } else if (const auto* number = std::get_if<double>(&value)) {
    reflection.SetDouble(message, field, *number);
  } else {
    reflection.SetString(message, field, std::get<std::string>(value));
  }
}

v1::SweepSpec SmallestSweep(const std::string& task, uint32_t depth) {
  v1::SweepSpec spec;
  spec.set_name("a");
  spec.add_tasks(task);
  spec.add_depths(depth);
  spec.add_seeds(0);
  return spec;
}

// At the bounds of every range, a submit and the trainer must accept the same values.
TEST(EveryPlace, TheSweepAndTheTrainerAcceptTheSameValues) {
  int compared = 0;
  for (const Setting& setting : settings::RunSettings().settings()) {
    for (const Value& value : Edges(setting)) {
      v1::SweepSpec spec = SmallestSweep("question", 2);
      if (setting.path == "task") {
        spec.set_tasks(0, std::get<std::string>(value));
      } else if (setting.path == "depth") {
        spec.set_depths(0, static_cast<uint32_t>(std::get<int64_t>(value)));
      } else {
        SetIn(&spec, setting.path, value);
      }
      const auto problems = spec::ValidateSweepSpec(spec);
      const v1::RunConfig run = spec::ResolveRun(spec, spec.tasks(0), spec.depths(0));
      const absl::Status taken = trainer::ParseRunConfigText(spec::RunConfigToJson(run)).status();
      EXPECT_EQ(problems.empty(), taken.ok())
          << setting.path << ": " << spec::ProblemsToStatus(problems) << " | " << taken;
      ++compared;
    }
  }
  EXPECT_GT(compared, 100);
}

TEST(EveryPlace, TheDefaultsAreTheSame) {
  for (const char* task : {"question", "tense", "dyck"}) {
    const auto run =
        trainer::ParseRunConfigText(nlohmann::json({{"task", task}, {"depth", 2}}).dump());
    ASSERT_TRUE(run.ok()) << run.status();
    const v1::RunConfig resolved = spec::ResolveRun(SmallestSweep(task, 2), task, 2);
    EXPECT_EQ(trainer::ToJson(*run), nlohmann::json::parse(spec::RunConfigToJson(resolved)));
  }
}

// Adds one entry to the table and nothing else.
class MadeUpSetting : public ::testing::Test {
 protected:
  MadeUpSetting() {
    std::vector<Setting> all = settings::RunSettings().settings();
    all.push_back({.path = "model.gates",
                   .flag = "--gates",
                   .range = IntegerRange{1, 16},
                   .default_value = int64_t{4},
                   .default_of_task = {{"dyck", int64_t{6}}},
                   .unit = "gates",
                   .help = "gates of a made-up layer"});
    std::vector<settings::CrossCheck> checks = settings::RunSettings().checks();
    checks.push_back(
        {.settings = {"model.gates", "model.heads"},
         .holds =
             [](const auto& r) { return r.Integer("model.gates") <= r.Integer("model.heads"); },
         .mistake = [](const auto& r) { return std::string("has more gates than heads"); },
         .remedy = "use fewer",
         .range = "at most `model.heads`"});
    table_ = std::make_unique<settings::Table>(std::move(all), std::move(checks));
  }

  // Returns the reader's error, or "" and stores the run in `run`.
  std::string Read(const char* text, settings::Values* run) {
    const auto document = trainer::ParseStrictJson(text);
    EXPECT_TRUE(document.ok());
    absl::Status status;
    *run = trainer::ReadRun(trainer::StrictObject(&*document, "run", &status), *table_);
    return std::string(status.message());
  }

  std::unique_ptr<settings::Table> table_;
};

TEST_F(MadeUpSetting, IsReadByTheTrainer) {
  settings::Values run;
  EXPECT_EQ(Read(R"({"task": "dyck", "depth": 2})", &run), "");
  EXPECT_EQ(run.Integer("model.gates"), 6);
  EXPECT_EQ(Read(R"({"task": "tense", "depth": 2, "model": {"gates": 3}})", &run), "");
  EXPECT_EQ(run.Integer("model.gates"), 3);
  EXPECT_EQ(trainer::ToJson(run)["model"]["gates"], 3);
  EXPECT_EQ(Read(R"({"task": "tense", "depth": 2, "model": {"gates": 17}})", &run),
            "run.model.gates is 17; use a whole number from 1 to 16");
  EXPECT_EQ(Read(R"({"task": "tense", "depth": 2, "model": {"gate": 1}})", &run),
            "run.model.gate is not a known key; did you mean \"gates\"?");
  EXPECT_EQ(Read(R"({"task": "tense", "depth": 2, "model": {"gates": 9}})", &run),
            "run.model.gates has more gates than heads; use fewer");
}

TEST_F(MadeUpSetting, IsAFlagOfTheTrainer) {
  EXPECT_THAT(trainer::FlagsOf(*table_),
              Contains(testing::AllOf(
                  Field(&trainer::RunFlag::name, "--gates"),
                  Field(&trainer::RunFlag::pointer, "/run/model/gates"),
                  Field(&trainer::RunFlag::help,
                        "gates of a made-up layer (default 4, dyck 6; 1 to 16 gates)"))));
}

TEST_F(MadeUpSetting, IsDocumented) {
  EXPECT_THAT(settings::MarkdownTable(*table_),
              HasSubstr("| `model.gates` | 4 (dyck 6) | 1 to 16 gates, at most `model.heads` | "
                        "gates of a made-up layer |\n"));
}

TEST_F(MadeUpSetting, IsValidatedInASweep) {
  // sweep.proto with one more field, for the new setting.
  google::protobuf::FileDescriptorProto file;
  v1::SweepSpec::descriptor()->file()->CopyTo(&file);
  for (auto& message : *file.mutable_message_type()) {
    if (message.name() != "ModelSpec") continue;
    auto* field = message.add_field();
    field->set_name("gates");
    field->set_number(1'000);
    field->set_type(google::protobuf::FieldDescriptorProto::TYPE_UINT32);
    field->set_label(google::protobuf::FieldDescriptorProto::LABEL_OPTIONAL);
  }
  google::protobuf::DescriptorPool pool;
  const auto* built = pool.BuildFile(file);
  ASSERT_NE(built, nullptr);
  google::protobuf::DynamicMessageFactory factory(&pool);
  const std::unique_ptr<Message> spec(
      factory.GetPrototype(built->FindMessageTypeByName("SweepSpec"))->New());

  SetIn(spec.get(), "model.gates", int64_t{17});
  std::vector<spec::Problem> problems;
  spec::ValidateSettings(*spec, "overrides[0].", *table_, &problems);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].path, "overrides[0].model.gates");
  EXPECT_EQ(problems[0].message, "is 17; use a whole number from 1 to 16");

  SetIn(spec.get(), "model.gates", int64_t{9});
  problems.clear();
  spec::ValidateSettings(*spec, "", *table_, &problems);
  EXPECT_THAT(problems, ElementsAre());
  settings::Values run = table_->Defaults("question");
  run.Merge(spec::ValuesOf(*spec, *table_));
  const auto failed = table_->Failed(run, settings::Origin::kSweep);
  ASSERT_EQ(failed.size(), 1u);
  EXPECT_EQ(failed[0]->mistake(run), "has more gates than heads");
}

}  // namespace
}  // namespace coppice

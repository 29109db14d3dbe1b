// Reads a YAML tree into a protobuf message by reflection. Internal to the spec reader.
#ifndef COPPICE_CLI_YAML_MESSAGE_H_
#define COPPICE_CLI_YAML_MESSAGE_H_

#include <google/protobuf/message.h>
#include <yaml-cpp/yaml.h>

#include <functional>
#include <string>
#include <utility>

#include "cli/yaml_notes.h"

namespace coppice::cli {

// Collects mistakes instead of stopping at the first. Not thread-safe. Throws only what yaml-cpp
// throws.
class YamlMessageReader {
 public:
  using Field = google::protobuf::FieldDescriptor;
  // Takes a field that is written in another form than that of its message. False: it is not such a
  // field.
  using Aside = std::function<bool(const YAML::Node& node, const std::string& path,
                                   const Field& field, google::protobuf::Message* message)>;

  // `notes` must outlive the reader.
  YamlMessageReader(YamlNotes* notes, Aside aside) : notes_(*notes), aside_(std::move(aside)) {}

  // The tree must be a map. Unset fields stay unset.
  void Read(const YAML::Node& node, google::protobuf::Message* message);
  // One field of the message, as at `path`.
  void ReadField(const YAML::Node& node, const std::string& path, const Field& field,
                 google::protobuf::Message* message);

 private:
  void ReadMap(const YAML::Node& node, const std::string& path, google::protobuf::Message* message);
  void ReadList(const YAML::Node& node, const std::string& path, const Field& field,
                google::protobuf::Message* message);
  void ReadValue(const YAML::Node& node, const std::string& path, const Field& field,
                 google::protobuf::Message* message);
  // "0-9" in a list of seeds.
  bool ReadRange(const YAML::Node& node, const std::string& path, const Field& field,
                 google::protobuf::Message* message);
  bool CheckScalar(const YAML::Node& node, const std::string& path, const Field& field);
  void UnknownKey(const YAML::Node& key, const std::string& path,
                  const google::protobuf::Message& message);

  YamlNotes& notes_;
  const Aside aside_;
  const google::protobuf::Descriptor* root_ = nullptr;
};

}  // namespace coppice::cli

#endif  // COPPICE_CLI_YAML_MESSAGE_H_

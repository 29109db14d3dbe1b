// Reads a YAML tree into a protobuf message by reflection. Internal to the spec reader.
#ifndef COPPICE_CLI_YAML_MESSAGE_H_
#define COPPICE_CLI_YAML_MESSAGE_H_

#include <google/protobuf/message.h>
#include <yaml-cpp/yaml.h>

#include <map>
#include <string>
#include <vector>

#include "cli/spec_reader.h"

namespace coppice::cli {

struct Mistake {
  Position at;
  std::string message;
};

// Collects mistakes instead of stopping at the first. Not thread-safe. Throws only what yaml-cpp
// throws.
class YamlMessageReader {
 public:
  // The tree must be a map. Unset fields stay unset.
  void Read(const YAML::Node& node, google::protobuf::Message* message);

  const std::vector<Mistake>& mistakes() const { return mistakes_; }
  const std::map<std::string, Position>& positions() const { return positions_; }

 private:
  using Field = google::protobuf::FieldDescriptor;

  void ReadMap(const YAML::Node& node, const std::string& path, google::protobuf::Message* message);
  void ReadField(const YAML::Node& node, const std::string& path, const Field& field,
                 google::protobuf::Message* message);
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
  void Add(const YAML::Node& node, const std::string& path, const std::string& message);

  const google::protobuf::Descriptor* root_ = nullptr;
  std::vector<Mistake> mistakes_;
  std::map<std::string, Position> positions_;
};

Position PositionOf(const YAML::Mark& mark);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_YAML_MESSAGE_H_

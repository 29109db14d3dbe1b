// Headers that all tests of the wire include and that take most of their compilation time. They are
// precompiled; no file includes this one by name.
#ifndef COPPICE_TESTS_TESTING_WIRE_HEADERS_H_
#define COPPICE_TESTS_TESTING_WIRE_HEADERS_H_

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "coppice/v1/coordinator.grpc.pb.h"

#endif  // COPPICE_TESTS_TESTING_WIRE_HEADERS_H_

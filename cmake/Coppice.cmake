# Compiler settings and the few functions every CMakeLists.txt here uses.
include_guard()

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(spdlog REQUIRED)

find_program(COPPICE_CCACHE ccache)
if(COPPICE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Relative paths and no working folder in the hash: another checkout of the same tree hits the cache.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime CCACHE_MAXSIZE=5G ${COPPICE_CCACHE})
endif()

# One interface target carries the include root and the warnings, so that generated code and
# system headers are spared.
add_library(coppice_settings INTERFACE)
target_include_directories(coppice_settings INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/gen)
target_compile_options(coppice_settings INTERFACE -Wall -Wextra -Wno-unused-parameter
  $<$<BOOL:${COPPICE_WERROR}>:-Werror>
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>)
target_compile_definitions(coppice_settings INTERFACE COPPICE_VERSION="${PROJECT_VERSION}")

# The commit for --version: looked up at every build, written only when it has changed, linked into programs and not into tests.
set(COPPICE_COMMIT "" CACHE STRING "Commit that --version names where the source is not in a git repository")
add_custom_target(coppice_commit_text
  COMMAND ${CMAKE_COMMAND} -DSOURCE=${CMAKE_SOURCE_DIR} -DOUTPUT=${CMAKE_BINARY_DIR}/gen/commit.cc -DCOMMIT=${COPPICE_COMMIT}
          -P ${CMAKE_SOURCE_DIR}/cmake/commit.cmake
  BYPRODUCTS ${CMAKE_BINARY_DIR}/gen/commit.cc
  COMMENT "Looking up the commit")
add_library(coppice_commit STATIC ${CMAKE_BINARY_DIR}/gen/commit.cc)
target_include_directories(coppice_commit PRIVATE ${CMAKE_SOURCE_DIR})
target_link_libraries(coppice_commit PRIVATE absl::strings)
add_dependencies(coppice_commit coppice_commit_text)

# What most files include: precompiled in the sanitizer builds.
set(COPPICE_COMMON_HEADERS <algorithm> <functional> <map> <memory> <optional> <set> <string> <utility> <vector>
    <absl/container/flat_hash_map.h> <absl/container/flat_hash_set.h> <absl/status/statusor.h> <absl/strings/match.h>
    <absl/strings/str_cat.h> <absl/strings/str_format.h> <absl/strings/str_join.h> <absl/synchronization/mutex.h>
    <absl/time/time.h> <spdlog/spdlog.h>)

if(COPPICE_SANITIZE)
  # Asserts stay on, lines in reports; with optimization a file takes twice as long to compile.
  add_compile_options(-O0 -g1 -pthread -fsanitize=${COPPICE_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${COPPICE_SANITIZE})
  if(COPPICE_SANITIZE MATCHES undefined)
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
endif()
if(COPPICE_SANITIZE MATCHES thread)
  # In every program of the build, whether it calls them or not: what makes Abseil's locks visible to the tool. (gRPC's part: proto/.)
  set(dir ${CMAKE_SOURCE_DIR}/tests/sanitizers)
  add_library(coppice_tsan STATIC ${dir}/tsan_absl.cc ${dir}/tsan_options.cc)
  target_compile_options(coppice_tsan PRIVATE -Wall -Wextra -fno-sanitize=thread)
  target_compile_definitions(coppice_tsan PRIVATE COPPICE_TSAN_SUPPRESSIONS="${dir}/tsan.supp")
  target_link_libraries(coppice_tsan PUBLIC absl::synchronization ${CMAKE_DL_LIBS})
  target_link_libraries(coppice_settings INTERFACE $<LINK_LIBRARY:WHOLE_ARCHIVE,coppice_tsan>)
endif()

if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  # Precompiled headers without a time stamp: ccache may keep what was compiled with them.
  add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
endif()

if(COPPICE_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES Clang)
    message(FATAL_ERROR "COPPICE_FUZZ needs Clang: cmake --preset asan")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# coppice_library(NAME SRCS a.cc ... LIBS x ...): a static library with the project's settings.
function(coppice_library name)
  cmake_parse_arguments(A "" "" "SRCS;LIBS" ${ARGN})
  add_library(${name} STATIC ${A_SRCS})
  target_link_libraries(${name} PUBLIC coppice_settings ${A_LIBS})
  # Not in the builds that are shipped: there each file names all that it includes.
  if(COPPICE_SANITIZE AND NOT COPPICE_WIRE_HEADERS)
    if(coppice_rpc IN_LIST A_LIBS)
      coppice_reuse_headers(${name} coppice_rpc)
    elseif(coppice_base IN_LIST A_LIBS AND NOT ${name} STREQUAL coppice_rpc)
      coppice_reuse_headers(${name} coppice_base)
    endif()
  endif()
endfunction()

# Lets a target read the precompiled headers of `owner`: reading gRPC's is most of what a file of the wire costs to compile.
function(coppice_reuse_headers target owner)
  target_precompile_headers(${target} REUSE_FROM ${owner})
  # g++ 12 warns of inlined library code there as if it were ours (GCC bug 105651).
  target_compile_options(${target} PRIVATE
    $<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds;-Wno-stringop-overflow;-Wno-restrict>)
endfunction()

# A test's own code is run little and compiled often: optimizing it costs two thirds of its compile time. What it tests stays optimized.
function(coppice_compile_fast target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O0>)
endfunction()

# Gives a target of the tests the precompiled headers of the wire where its folder asks for them (COPPICE_WIRE_HEADERS).
function(coppice_wire_headers target)
  if(COPPICE_WIRE_HEADERS)
    coppice_compile_fast(${target})  # as the precompiled headers are
    coppice_reuse_headers(${target} coppice_test_wire)
    target_link_libraries(${target} PRIVATE GTest::gmock)  # its settings are part of them
  endif()
endfunction()

# coppice_test(NAME SRCS a_test.cc ... LIBS x ... [LABELS l ...] [TIMEOUT s]): one GoogleTest binary.
function(coppice_test name)
  cmake_parse_arguments(A "" "TIMEOUT" "SRCS;LIBS;LABELS" ${ARGN})
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 120)
  endif()
  if(COPPICE_SANITIZE)
    math(EXPR A_TIMEOUT "5 * ${A_TIMEOUT}")
  endif()
  add_executable(${name} ${A_SRCS})
  target_link_libraries(${name} PRIVATE coppice_settings ${A_LIBS} GTest::gmock GTest::gtest_main)
  # g++ 12 sees overlapping or uninitialized memory where a literal is assigned to a std::string (GCC bug 105651).
  target_compile_options(${name} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict;-Wno-maybe-uninitialized>)
  if(COPPICE_SANITIZE AND NOT COPPICE_WIRE_HEADERS)
    coppice_reuse_headers(${name} coppice_test_base)
    target_link_libraries(${name} PRIVATE coppice_base)
  endif()
  if(NOT COPPICE_OPTIMIZED_TESTS)  # for a folder whose tests compute much themselves
    coppice_compile_fast(${name})
  endif()
  coppice_wire_headers(${name})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${A_LABELS}" TIMEOUT ${A_TIMEOUT})
endfunction()

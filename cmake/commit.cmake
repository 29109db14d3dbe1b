# Writes OUTPUT, a C++ file with the commit of SOURCE, and touches it only when that has changed:
#   cmake -DSOURCE=DIR -DOUTPUT=FILE [-DCOMMIT=TEXT] -P commit.cmake
# Where SOURCE is no repository of its own (an unpacked archive, perhaps inside of another project), COMMIT is told, or "unknown".
if(NOT COMMIT)
  set(COMMIT unknown)
  find_program(GIT git)
  if(GIT)
    # No optional locks: a build must not disturb a git command that runs meanwhile.
    set(ENV{GIT_OPTIONAL_LOCKS} 0)
    execute_process(COMMAND ${GIT} -C ${SOURCE} rev-parse --show-toplevel
                    OUTPUT_VARIABLE top RESULT_VARIABLE failed OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    file(REAL_PATH ${SOURCE} source)
    if(failed EQUAL 0 AND top STREQUAL source)
      execute_process(COMMAND ${GIT} -C ${SOURCE} describe --always --abbrev=12 --dirty --exclude=*
                      OUTPUT_VARIABLE described RESULT_VARIABLE failed OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
      if(failed EQUAL 0 AND described MATCHES "^[0-9a-f]+(-dirty)?$")
        set(COMMIT ${described})
      endif()
    endif()
  endif()
endif()
if(NOT COMMIT MATCHES "^[0-9A-Za-z._-]+$")
  message(FATAL_ERROR "COPPICE_COMMIT '${COMMIT}' is no name of a commit; leave it out, or give for example $(git rev-parse --short=12 HEAD)")
endif()

set(text "#include \"common/base/build_info.h\"\n\nnamespace coppice {\n\nconst char kBuildCommit[] = \"${COMMIT}\";\n\n}  // namespace coppice\n")
set(before "")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} before)
endif()
if(NOT before STREQUAL text)
  file(WRITE ${OUTPUT} "${text}")
endif()

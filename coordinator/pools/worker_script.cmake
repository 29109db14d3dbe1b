# Writes OUTPUT, a C++ file with the text of SCRIPT:
#   cmake -DSCRIPT=FILE -DOUTPUT=FILE -P worker_script.cmake
file(READ ${SCRIPT} body)
if(body MATCHES "\\)coppice\"")
  message(FATAL_ERROR "${SCRIPT} holds the end of a raw string")
endif()
set(text "#include \"coordinator/pools/script.h\"\n\nnamespace coppice::pools {\n\nconst char kWorkerScript[] = R\"coppice(${body})coppice\";\n\n}  // namespace coppice::pools\n")
file(WRITE ${OUTPUT} "${text}")

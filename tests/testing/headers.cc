// The home of precompiled headers: wire_headers.h and those of every test.

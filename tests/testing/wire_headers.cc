// The home of a precompiled header: wire_headers.h.

"""The shop that `crawler demo` crawls, and the server behind it."""

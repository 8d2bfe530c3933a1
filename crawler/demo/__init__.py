"""Shop that `crawler demo` crawls, and its server."""

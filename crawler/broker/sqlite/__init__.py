"""The embedded engine: a broker that keeps its tasks in one SQLite file."""

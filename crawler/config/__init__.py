"""The settings: their types and defaults, where each value came from, and messages for wrong ones."""

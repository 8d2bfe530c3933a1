"""The result of a crawl: its numbers, its outputs and the summary that a person reads."""

"""Explanations of why a crawl waits, and for how long."""

"""Encoding of items: as bytes for a queue, and as the values of a row."""

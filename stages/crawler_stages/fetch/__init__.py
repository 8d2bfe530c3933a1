"""Fetch: a visit in, the page out."""

from crawler_stages.fetch.stage import Fetch as Fetch

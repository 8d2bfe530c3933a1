"""The stored definition of a crawl, and the decision how a crawl goes on."""

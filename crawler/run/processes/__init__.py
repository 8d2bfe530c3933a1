"""Child processes of a crawl: starting, watching and restarting them, and reading their output."""

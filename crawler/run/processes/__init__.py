"""The child processes of a crawl: starting, watching and restarting them, and reading what they say."""

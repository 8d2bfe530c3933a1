"""A crawl on this machine: its hub, its workers, its memory of what it is. Nothing here prints or parses arguments."""

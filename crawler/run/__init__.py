"""A crawl on this machine: its hub, its workers and its stored definition. Nothing here prints or parses arguments."""

"""One worker process: it leases tasks, has its stage process them, and hands in the results."""

"""python -m crawler.

An older Python is refused here, before it imports code that it cannot read. This file stays readable for Python 3.8.
"""

import sys

OLDEST = (3, 11)                   # as in pyproject.toml

if __name__ == "__main__":
    if sys.version_info < OLDEST:  # pip would have refused, but a checkout is run without it
        wanted, found = ".".join(map(str, OLDEST)), ".".join(map(str, sys.version_info[:3]))
        sys.stderr.write(f"crawler needs Python {wanted} or newer; this is {found}\n")
        sys.exit(2)

    from crawler.cli import main

    sys.exit(main())

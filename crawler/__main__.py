"""python -m crawler.

An older Python is refused here, before it imports code that it cannot read. This file stays readable for Python 3.8.
"""

import os
import sys

OLDEST = (3, 11)  # as in pyproject.toml

if __name__ == "__main__":
    if sys.version_info < OLDEST:  # pip would have refused, but a checkout is run without it
        wanted, found = ".".join(map(str, OLDEST)), ".".join(map(str, sys.version_info[:3]))
        sys.stderr.write(f"crawler needs Python {wanted} or newer; this is {found}\n")
        sys.exit(2)

    # -m put the working directory first, where a file such as an unrelated queue.py would take the place of a module. Removed:
    # a stage of the user's own is found there all the same. In a checkout that is not installed it goes to the end.
    if not getattr(sys.flags, "safe_path", False) and os.path.isdir(sys.path[0]):
        first = sys.path.pop(0)
        if first == os.path.dirname(os.path.dirname(os.path.abspath(__file__))):
            sys.path += [first, os.path.join(first, "stages"), os.path.join(first, "bench")]

    # A child that is a new interpreter finds the same modules as one that is a copy of its parent: see `run.processes.process`.
    if "CRAWLER_PARENT_PATH" in os.environ:
        import json

        handed = json.loads(os.environ.pop("CRAWLER_PARENT_PATH"))
        sys.path[:] = handed["path"]
        os.environ["PYTHONPATH"] = handed["PYTHONPATH"]
        if not handed["PYTHONPATH"]:
            del os.environ["PYTHONPATH"]

    from crawler.cli import main

    sys.exit(main())

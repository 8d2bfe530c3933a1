"""What the project costs, measured as a user would run it: `crawler bench`, with the last figures in RESULTS.md.

    sites ──▶ serve ──▶ crawl, steps ─╮
              walk ──────┘             ├─▶ report (the figures) ──▶ table
          hub, streams, frontier ─────╯       processes: who used how much of the machine

Every process measured is a real one, started by its command, with default durability and no setting that is not shown; `steps`
alone takes the product's parts apart, in the bench's own process.
"""

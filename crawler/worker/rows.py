"""Make the row of an item: what the store writes and `crawler parse` shows. The rules for its values are in `values`."""

from __future__ import annotations

from typing import Any, cast

from crawler.codec import values
from crawler.codec.values import REPLACED, Count, ignored
from crawler.worker.routing import Unsendable


def as_row(item: Any, count: Count = ignored) -> dict[str, Any]:
    """Return the row of an item: its own keys and values, or the item as the one value of a row.

    count: called with the name of a counter for each value that is replaced. Raises Unsendable for a value that no row can have.
    """
    row = item if isinstance(item, dict) else {"value": item}
    if values.is_ordinary(row):  # text and integers were checked when the item was sent
        return row
    try:
        return cast("dict[str, Any]", values.stored(row, lambda what: count(f"{REPLACED}{what}")))
    except TypeError as error:
        from crawler.codec.unsendable import why  # here, because only mistakes need it

        raise Unsendable(f"an item cannot be stored: {why(row, error)}") from error

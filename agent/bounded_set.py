"""A set that remembers what was seen, in limited memory."""

from typing import TypeVar

Item = TypeVar("Item")

MAX_REMEMBERED = 10_000


class BoundedSet(set[Item]):
    """A set that forgets everything when it is full, for what is only looked up to save work.

    Use `add` to fill it; other methods of a set ignore the limit.
    """

    def __init__(self, max_size: int = MAX_REMEMBERED) -> None:
        super().__init__()
        self._max_size = max_size

    def add(self, item: Item) -> None:
        if len(self) >= self._max_size:
            self.clear()
        super().add(item)

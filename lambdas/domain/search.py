"""Search of transfers: the words that find one, and whether a text occurs in it."""

import re
from collections.abc import Iterator

from events.locations import AgentLocation, Location, RemoteLocation, alike
from lambdas.domain.transfer import Transfer

MAX_WORDS = 50
"""Maximum number of words of a transfer that are indexed; with their beginnings they fit one transaction."""
BEGINNING_CHARS = 3
"""Length of a word's beginning that is indexed beside the word, in characters."""
_MAX_WORD_CHARS = 64
_WORD = re.compile(r"[^\W_]+")


def words_of(text: str) -> list[str]:
    """Return the words of a text, case-folded: letters and digits between any other characters."""
    return [word[:_MAX_WORD_CHARS] for word in _WORD.findall(alike(text))]


def indexed_words(transfer: Transfer) -> tuple[str, ...]:
    """Return the words by which a transfer is found, at most `MAX_WORDS`, the most telling first."""
    found: dict[str, None] = {}
    for text in _texts(transfer):
        found.update(dict.fromkeys(words_of(text)))
        if len(found) >= MAX_WORDS:
            break
    return tuple(found)[:MAX_WORDS]


def _texts(transfer: Transfer) -> Iterator[str]:
    """Yield id, requester, last names of paths, selected objects, and then the paths from their ends."""
    yield transfer.transfer_id
    yield transfer.template_id or ""
    yield transfer.created_by.name
    paths = [_names(place) for place in (transfer.source, *transfer.destinations[:3])]
    for names in paths:
        yield names[-1]
    for key in transfer.selection or ():
        yield key.rpartition("/")[2]
    for names in paths:
        yield from reversed(names[:-1])
    yield from transfer.selection or ()
    for place in transfer.destinations[3:]:
        yield from reversed(_names(place))


def _names(place: Location) -> list[str]:
    """Return agent, or bucket, and the names of the path below it."""
    match place:
        case AgentLocation():
            start, path = [place.agent_id], place.path
        case RemoteLocation():
            start, path = [place.agent_id, place.remote], place.path
        case _:
            start, path = [place.bucket], place.prefix
    return [*start, *(name for name in path.split("/") if name)]


def occurs(parts: list[str], texts: list[str]) -> bool:
    """Return whether each part of a search occurs in one of the texts, ignoring case."""
    folded = [alike(text) for text in texts]
    return all(any(part in text for text in folded) for part in parts)


def search_parts(search: str) -> list[str]:
    """Return what a search looks for: its texts between spaces, case-folded."""
    return alike(search).split()

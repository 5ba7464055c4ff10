"""Parse the XML of S3's answers."""

from xml.etree import ElementTree

from agent.s3.errors import ConnectionLostError


def root_of(body: bytes, name: str) -> ElementTree.Element:
    """Return the root of an answer, whose name is `name` in whatever namespace.

    Raises:
        ConnectionLostError: it is not such XML; a proxy may have answered.
    """
    try:
        root = ElementTree.fromstring(body.strip())  # noqa: S314  (expat refuses entities that grow)
    except (ElementTree.ParseError, ValueError) as error:
        raise ConnectionLostError(f"not an answer of S3: {error}") from error
    if root.tag.rpartition("}")[2] != name:
        raise ConnectionLostError(f"not an answer of S3: it is not a {name}")
    return root


def text_in(root: ElementTree.Element, path: str) -> str:
    """Return the text of an element, '' if there is none; its path is written without S3's namespace."""
    return root.findtext("/".join(f"{{*}}{name}" for name in path.split("/"))) or ""


class PageMarks:
    """Notices when the pages of a list go in a circle, however long; keeps one mark (Brent's algorithm)."""

    def __init__(self) -> None:
        self._count = 0
        self._kept: object = None

    def note(self, mark: object) -> None:
        """Note where the next page begins.

        Raises:
            ConnectionLostError: a page has begun there before.
        """
        if mark == self._kept:
            raise ConnectionLostError("not a list of S3: its pages do not end")
        self._count += 1
        if self._count.bit_count() == 1:
            self._kept = mark

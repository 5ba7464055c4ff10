"""Parse the XML of S3's answers."""

from xml.etree import ElementTree

from agent.s3.errors import ConnectionLostError


def root_of(body: bytes) -> ElementTree.Element:
    """Return the root of an answer.

    Raises:
        ConnectionLostError: it is not XML; a proxy may have answered.
    """
    try:
        return ElementTree.fromstring(body)  # noqa: S314  (expat refuses entities that grow)
    except (ElementTree.ParseError, ValueError) as error:
        raise ConnectionLostError(f"not an answer of S3: {error}") from error


def text_in(root: ElementTree.Element, path: str) -> str:
    """Return the text of an element, '' if there is none; its path is written without S3's namespace."""
    return root.findtext("/".join(f"{{*}}{name}" for name in path.split("/"))) or ""

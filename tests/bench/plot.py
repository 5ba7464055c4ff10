"""Draw bar charts as SVG without a library, which would be larger than the benchmark."""

from html import escape

from tests.bench.cases import CASES
from tests.bench.results import OWN_TOOLS, Result

WIDTH, LABEL, BAR, GAP, HEAD = 860, 130, 16, 5, 34
OWN, OTHER, FLOOR = "#1f6feb", "#8b949e", "#d0d7de"
STYLE = "font-family: system-ui, sans-serif; font-size: 12px; fill: #57606a"


def plot(results: list[Result]) -> str:
    """Draw a chart of seconds for each case and medium, one below the other; shorter is better."""
    parts, top = [], 0
    for case in CASES:
        for medium in case.media:
            here = [one for one in results if one.key == (case.name, medium) and one.seconds]
            if here:
                drawn, height = _chart(f"{case.title} ({medium})", here, top)
                parts += drawn
                top += height
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" style="{STYLE}">'
    ground = '<rect width="100%" height="100%" fill="#ffffff"/>'
    return "\n".join([head, ground, *parts, "</svg>"]) + "\n"


def _chart(title: str, results: list[Result], top: int) -> tuple[list[str], int]:
    """Return the chart's elements and its height."""
    ordered = sorted(results, key=lambda one: one.seconds or 0)
    longest = ordered[-1].seconds or 1
    parts = [f'<text x="8" y="{top + 22}" font-weight="bold" fill="#24292f">{escape(title)}</text>']
    for number, one in enumerate(ordered):
        y = top + HEAD + number * (BAR + GAP)
        parts += _bar(one, y, (one.seconds or 0) / longest)
    return parts, HEAD + len(ordered) * (BAR + GAP) + 10


def _bar(one: Result, y: int, share: float) -> list[str]:
    width = max(1.0, share * (WIDTH - LABEL - 80))
    colour = (dict.fromkeys(OWN_TOOLS, OWN) | {"cp": FLOOR}).get(one.tool, OTHER)
    words = y + BAR - 4
    return [
        f'<text x="{LABEL - 8}" y="{words}" text-anchor="end">{escape(one.tool)}</text>',
        f'<rect x="{LABEL}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2" fill="{colour}"/>',
        f'<text x="{LABEL + width + 6:.1f}" y="{words}">{one.seconds:.2f} s</text>',
    ]

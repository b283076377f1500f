"""Pictures for a page: drawn by altair and vl-convert, coloured by the page, told by hovering."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup

SVG = "{http://www.w3.org/2000/svg}"
# Colours of the picture that stand for colours of the page, which change between light and dark.
INK, MUTED, LINE, ACCENT, GOAL, PAPER = "#010203", "#010204", "#010205", "#010206", "#010207", "#010208"
VARIABLES: Mapping[str, str] = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    ACCENT: "var(--accent)",
    GOAL: "var(--goal)",
    PAPER: "var(--paper)",
}


def drawing() -> bool:
    """Whether pictures can be drawn: the extra `report` is installed."""
    from importlib.util import find_spec

    return find_spec("altair") is not None and find_spec("vl_convert") is not None


def drawn(chart: Mapping[str, Any], title: str, name: str) -> Markup:
    """A Vega-Lite chart as an SVG element to stand in HTML. What a mark is described by shows when it is pointed at.

    `title` says what the picture shows to those who cannot see it; `name` makes the element's ids its own.
    """
    import vl_convert

    root = ElementTree.fromstring(vl_convert.vegalite_to_svg(dict(chart)))
    for element in root.iter():
        _clean(element, name)
    width, height = root.get("width", ""), root.get("height", "")
    root.attrib = {"viewBox": f"0 0 {width} {height}", "role": "img", "aria-label": title}
    root.set("style", f"max-width:{width}px")
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # from a tree, and so escaped


def _clean(element: ElementTree.Element, name: str) -> None:
    """The drawing with the page's colours, with a title where a mark has a description, and without what the page does
    not need."""
    element.tag = element.tag.removeprefix(SVG)
    text = element.get("aria-label") if element.get("role") == "graphics-symbol" else None
    for attribute, value in list(element.attrib.items()):
        if attribute.startswith(("aria-", "role")) or attribute == "font-family":
            del element.attrib[attribute]
        elif value in VARIABLES:
            element.set(attribute, VARIABLES[value])
        elif attribute == "id":
            element.set("id", f"{name}-{value}")
        elif value.startswith("url(#"):
            element.set(attribute, f"url(#{name}-{value[5:]}")
    if text and not text.startswith(("X-axis", "Y-axis")):
        title = ElementTree.Element("title")
        title.text = text
        element.insert(0, title)


def upright(field: str, scale: Any) -> Any:
    import altair as alt

    return alt.Y(field, scale=scale, axis=alt.Axis(title=None, tickCount=5, format=".2f"))


def finished(chart: Any, width: int, height: int) -> dict[str, Any]:
    axis = {
        "labelColor": MUTED, "gridColor": LINE, "domainColor": LINE, "tickColor": LINE,
        "labelFontSize": 11, "labelPadding": 6, "tickSize": 4, "domain": False, "titleColor": MUTED,
        "titleFontSize": 11, "titleFontWeight": "normal", "titlePadding": 10,
    }  # fmt: skip
    dressed = chart.properties(width=width, height=height, background="transparent", padding=2)
    coloured = dressed.configure_axis(**axis).configure_view(stroke=None).configure_text(color=INK)
    found: dict[str, Any] = coloured.to_dict()
    return found

"""The specifications of the page's charts. The page fills in the data that a person chooses."""

from typing import Any

import altair as alt

COLOURS = {
    "light": [
        "#0a66a8",
        "#b35900",
        "#00785a",
        "#b3206f",
        "#6b4fa1",
        "#7a6a00",
        "#a83232",
        "#4d6472",
    ],
    "dark": [
        "#6cb6f0",
        "#f0a15c",
        "#4fc79f",
        "#f28cc0",
        "#b9a2ee",
        "#d8c44a",
        "#f28b82",
        "#a9bdca",
    ],
}
"""Of groups of runs, in the order in which the experiment names them. All have a contrast of 3 to 1
with the background."""
LABELS = {
    "light": [
        *("#1f77b4", "#e07000", "#2a8f2a", "#d62728", "#8a5fbf"),
        *("#8c564b", "#d64fae", "#6f6f6f", "#94950f", "#0f97a8"),
    ],
    "dark": [
        *("#5aa9e6", "#ff9f43", "#5fd35f", "#ff6b6b", "#b794f4"),
        *("#c99a8f", "#f59bd9", "#b8b8b8", "#d6d84a", "#4fd8e8"),
    ],
}
"""Of the labels of images."""


def curves_chart() -> dict[str, Any]:
    """Curves over training: `mean` with a `band`, or `single` runs, each a named data set.

    `yLow` and `yHigh` limit the vertical axis at first. Dragging moves the chart, and turning the
    wheel with Ctrl scales it.
    """
    low, high = alt.param(name="yLow", value=0), alt.param(name="yHigh", value=1)
    zoom = _zoom("zoom", ["x", "y"])
    x = alt.X("place:Q", axis=alt.Axis(title="epoch", tickMinStep=1), scale=alt.Scale(nice=False))
    scale = alt.Scale(
        zero=False,
        nice=False,
        domainMin=alt.ExprRef("yLow"),
        domainMax=alt.ExprRef("yHigh"),
    )
    y = alt.Y("value:Q", axis=alt.Axis(title="nats per image"), scale=scale)
    colour = alt.Color("group:N", sort=None, legend=None)
    over = alt.selection_point(
        name="over",
        on="pointerover",
        clear="pointerout",
        fields=["place", "group", "seed"],
        empty=False,
    )
    tooltip = [
        alt.Tooltip("group:N", title="group"),
        alt.Tooltip("seed:N", title="seeds"),
        alt.Tooltip("place:Q", title="epoch"),
        alt.Tooltip("text:N", title="nats"),
    ]
    band = (
        alt.Chart(alt.NamedData("band"))
        .mark_area(opacity=0.18, clip=True)
        .encode(
            x=x,
            y=alt.Y("low:Q", scale=scale, axis=alt.Axis(title="nats per image")),
            y2="high:Q",
            color=colour,
        )
    )
    lines = (
        alt.Chart(alt.NamedData("lines"))
        .mark_line(clip=True)
        .encode(
            x=x,
            y=y,
            color=colour,
            detail="seed:N",
            strokeWidth=alt.StrokeWidth("weight:Q", scale=None, legend=None),
        )
        .add_params(zoom)
    )
    points = (
        alt.Chart(alt.NamedData("lines"))
        .mark_point(filled=True, size=110, clip=True)
        .encode(
            x=x, y=y, color=colour, tooltip=tooltip,
            opacity=alt.condition(over, alt.value(1), alt.value(0)),
        )
        .add_params(over)
    )  # fmt: skip
    chart = alt.layer(band, lines, points).add_params(low, high)
    return _plain(
        chart.properties(width="container", height=340, description="Curves over training")
    )


def codes_chart() -> dict[str, Any]:
    """Codes of images in two dimensions, coloured by their label.

    The parameters `xLow`, `xHigh`, `yLow` and `yHigh` limit its axes at first.
    """
    names = ("xLow", "xHigh", "yLow", "yHigh")
    limits = [alt.param(name=name, value=k % 2) for k, name in enumerate(names)]

    def scale(axis: str) -> alt.Scale:
        ends = {"domainMin": alt.ExprRef(f"{axis}Low"), "domainMax": alt.ExprRef(f"{axis}High")}
        return alt.Scale(nice=False, zero=False, **ends)

    chart = (
        alt.Chart(alt.NamedData("codes"))
        .mark_circle(size=14, opacity=0.75, clip=True)
        .encode(
            x=alt.X("a:Q", scale=scale("x"), axis=alt.Axis(title="first code")),
            y=alt.Y("b:Q", scale=scale("y"), axis=alt.Axis(title="second code")),
            color=alt.Color("label:N", sort=None, legend=None),
        )
        .add_params(_zoom("zoom", ["x", "y"]), *limits)
        .properties(width="container", height=360, description="Codes of test images")
    )
    return _plain(chart)


def _zoom(name: str, encodings: list[Any]) -> alt.Parameter:
    """Moving by dragging, and scaling by the wheel with Ctrl, so that the page can be scrolled."""
    return alt.selection_interval(
        name=name, bind="scales", encodings=encodings, zoom="wheel![event.ctrlKey || event.metaKey]"
    )


def _plain(chart: alt.TopLevelMixin) -> dict[str, Any]:
    """The specification without what Altair adds for notebooks; the page has a theme of its own."""
    spec: dict[str, Any] = chart.to_dict()
    for name in ("config", "datasets"):
        spec.pop(name, None)
    return spec

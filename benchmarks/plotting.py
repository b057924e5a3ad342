"""Plots of figures as SVG files that load nothing from elsewhere."""

import sys
from pathlib import Path

import pygal
from pygal.style import CleanStyle

# pygal's hook for its plugins is of a kind of which Python warns at every later import.
sys.meta_path[:] = [finder for finder in sys.meta_path if hasattr(finder, "find_spec")]


def draw(path: Path, title: str, bars: dict[str, dict[str, float]]) -> None:
    """Write one group of bars for each case, one bar for each side.

    Args:
        path: of the SVG file.
        title: of the plot.
        bars: values by side, by case.
    """
    sides = list(dict.fromkeys(side for values in bars.values() for side in values))
    from_below = dict(reversed(bars.items()))
    chart = pygal.HorizontalBar(
        title=title,
        style=CleanStyle,
        js=(),  # otherwise the file loads a script from the web
        no_prefix=True,  # otherwise each run makes other names, and so another file
        disable_xml_declaration=True,
        print_values=True,
        value_formatter=lambda value: f"{value:,.2f}",
        legend_at_bottom=True,
        order_min=0,
        width=900,
        height=120 + 22 * len(bars) * len(sides),
    )
    chart.x_labels = list(from_below)
    for side in sides:
        chart.add(side, [values.get(side) for values in from_below.values()])
    path.write_text(chart.render(is_unicode=True) + "\n", encoding="utf-8")

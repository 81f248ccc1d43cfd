"""Styles are the same everywhere, and figures fit into a page."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from nasbench_rl import plots


def test_shipped_methods_look_different_and_no_other_looks_like_them() -> None:
    shipped = [plots.style_index(name) for name in plots._FIXED]
    styles = {(str(style["color"]), str(style["linestyle"])) for style in map(plots.method_style, plots._FIXED)}
    assert len(set(shipped)) == len(styles) == len(plots._FIXED)
    for at in range(200):
        other = plots.style_index(f"my_method_{at}")
        assert other not in shipped and plots.method_style(f"my_method_{at}")["color"] in plots._COLOURS


@pytest.mark.parametrize("method", ["random_search", "q_learning", "my_method"])
def test_the_page_has_the_colours_of_the_figures(method: str) -> None:
    found = re.fullmatch(r"var\(--method-(\d)\)", plots.css_style(method)["color"])
    assert found is not None
    assert plots.PALETTE[int(found.group(1))][0] == plots.method_style(method)["color"]


def curves() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.random((5, 11)).cumsum(axis=1)[:, ::-1] for name in ("random_search", "<mine> & co")}


def test_an_inline_figure_is_one_element_in_the_page_s_colours() -> None:
    figure = plots.regret_over_budget(curves(), np.linspace(0, 10, 11), None, {"mean": 3.0}, "task", "metric")
    text = plots.inline_svg(figure, "one", 'a "quoted" <description>')
    root = ElementTree.fromstring(text.replace("xlink:href", "href"))
    assert root.tag == "svg" and root.get("aria-label") == 'a "quoted" <description>' and root.get("viewBox")
    assert "#0072b2" not in text and "var(--method-0)" in text and "currentColor" in text
    identifiers = re.findall(r'\bid="([^"]+)"', text)
    assert identifiers and all(name.startswith("one-") for name in identifiers)
    assert all(name in identifiers for name in re.findall(r"url\(#([^)]+)\)", text))
    shown = "".join(root.itertext())
    assert "<mine> & co" in shown and "budget spent (whole trainings)" in shown


def test_methods_beside_the_highlighted_ones_are_grey() -> None:
    figure = plots.regret_over_budget(
        curves(), np.linspace(0, 10, 11), None, {}, "task", "metric", highlight=["random_search"], legend=False
    )
    colours = [line.get_color() for line in figure.axes[0].get_lines()]
    assert colours == [plots.method_style("random_search")["color"], plots.REFERENCE]
    assert figure.axes[0].get_legend() is None


def test_saved_figures_are_the_same_bytes_every_time(tmp_path: Path) -> None:
    first, second = (
        plots.save(
            plots.profiles({"mine": np.vstack([np.linspace(0, 1, 5)] * 3)}, np.linspace(0, 1, 5), "title"),
            tmp_path / folder / "profile",
        )
        for folder in ("a", "b")
    )
    assert [path.suffix for path in first] == [".png", ".svg"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_unknown_intervals_are_not_drawn() -> None:
    nan = float("nan")
    figure = plots.improvement_over_random({"mine": ((0.6, 0.5, 0.7), (0.6, nan, nan))}, "title")
    drawn = [line for line in figure.axes[0].get_lines() if np.isfinite(line.get_xdata()).all()]
    assert len(drawn) == 3  # the dashed line, the thick interval, the estimate


def test_ranks_have_a_bar_for_each_group() -> None:
    names = {"a": 1.2, "b": 2.0, "c": 2.8}
    figure = plots.average_ranks(names, [("a", "b"), ("b", "c")], "title")
    lines = figure.axes[0].get_lines()
    assert [line.get_xdata()[0] for line in lines[:3]] == list(names.values())
    bars = [list(line.get_ydata()) for line in lines[3:]]
    assert bars == [[-0.25, 1.25], [0.75, 2.25]]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(names)

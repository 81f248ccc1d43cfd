"""Styles are the same everywhere, and figures fit into a page."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from nasbench_rl.leaderboard import plots


def test_methods_of_a_figure_look_different_and_others_keep_their_style() -> None:
    names = [f"method_{at}" for at in range(40)]
    styles = plots.Styles(names)
    looks = [(str(line["color"]), str(line["linestyle"])) for line in map(styles.line, names)]
    assert len(set(looks)) == 40 and len({colour for colour, _ in looks[:10]}) == 10
    assert plots.Styles(names[::-1]).line("other") == styles.line("other") == plots.method_style("other")


@pytest.mark.parametrize("named", [[], ["a", "random_search", "b"]])
def test_the_page_has_the_colours_of_the_figures(named: list[str]) -> None:
    styles = plots.Styles(named)
    for method in ("random_search", "q_learning"):
        found = re.fullmatch(r"var\(--method-(\d)\)", styles.css(method)["color"])
        assert found is not None
        assert plots.PALETTE[int(found.group(1))][0] == styles.line(method)["color"]


def curves() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.random((5, 11)).cumsum(axis=1)[:, ::-1] for name in ("random_search", "<mine> & co")}


def test_an_inline_figure_is_one_element_in_the_page_s_colours() -> None:
    figure = plots.regret_over_budget(
        plots.Look(), curves(), np.linspace(0, 10, 11), None, {"mean": 3.0}, "task", "metric"
    )
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
        plots.Look(legend=False), curves(), np.linspace(0, 10, 11), None, {}, "task", "metric", ["random_search"]
    )
    colours = [line.get_color() for line in figure.axes[0].get_lines()]
    assert colours == [plots.PALETTE[0][0], plots.REFERENCE]
    assert figure.axes[0].get_legend() is None


def test_saved_figures_are_the_same_bytes_every_time(tmp_path: Path) -> None:
    first, second = (
        plots.save(
            plots.profiles(
                plots.Look(), {"mine": np.vstack([np.linspace(0, 1, 5)] * 3)}, np.linspace(0, 1, 5), "title"
            ),
            tmp_path / folder / "profile",
        )
        for folder in ("a", "b")
    )
    assert [path.suffix for path in first] == [".png", ".svg"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_unknown_intervals_are_not_drawn() -> None:
    nan = float("nan")
    figure = plots.improvement_over_random(plots.Look(), {"mine": ((0.6, 0.5, 0.7), (0.6, nan, nan))}, "title")
    drawn = [line for line in figure.axes[0].get_lines() if np.isfinite(line.get_xdata()).all()]
    assert len(drawn) == 3  # the dashed line, the thick interval, the estimate


def test_ranks_are_drawn_with_the_best_on_top() -> None:
    names = {"a": 1.2, "b": 2.0, "c": 2.8}
    axes = plots.average_ranks(plots.Look(), names, "title").axes[0]
    assert [line.get_xdata()[0] for line in axes.get_lines()] == list(names.values())
    assert [label.get_text() for label in axes.get_yticklabels()] == list(names)

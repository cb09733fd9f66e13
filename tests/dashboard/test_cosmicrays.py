"""Cosmic rays: thresholds, choices and edits, against the stored probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from streamlit.testing.v1 import AppTest

from dashboard import layers
from dashboard.artefacts import masked_at
from dashboard.hits import hits_of, mask_view
from dashboard.picking import picked
from db.queries import cosmicrays, mask_edits
from jobs.packing import unpack_arrays
from tests.dashboard.conftest import Open
from tests.dashboard.fakes import FakeOwner

EIGHT = np.ones((3, 3))


def a_run(owner: FakeOwner) -> dict[str, Any]:
    newest = cosmicrays.cosmic_ray_runs(owner.store)[0]
    run = cosmicrays.cosmic_ray_run(owner.store, newest["frame_digest"])
    assert run is not None
    return run


def stored_probability(owner: FakeOwner, run: dict[str, Any]) -> np.ndarray:
    return unpack_arrays(owner.store.files.get(run["probability_array"]))["probability"]


def point(run: dict[str, Any], y: int, x: int) -> dict[str, Any]:
    return {"kind": "point", "y": y, "x": x, "frame": run["frame_digest"]}


def metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def named(app: AppTest) -> AppTest:
    app.text_input(key="editor_name").set_value("ann")
    next(button for button in app.button if button.label == "Begin").click().run()
    return app


def rows(owner: FakeOwner) -> list[dict[str, Any]]:
    return owner.store.rows("FROM mask_edits ORDER BY edited_at")


def test_the_slider_recounts_from_the_stored_probability(
    looking: FakeOwner, open_page: Open
) -> None:
    run = a_run(looking)
    app = open_page("cosmicrays")
    app.slider[0].set_value(0.93).run()
    mask = stored_probability(looking, run) > 0.93
    assert metrics(app)["Hits at this threshold"] == f"{ndimage.label(mask, EIGHT)[1]:,}"
    assert metrics(app)["Pixels"] == f"{mask.sum():,}"
    assert metrics(app)["Share of the frame"] == f"{mask.mean():.2%}"


def test_a_hit_is_taken_out_by_name_and_put_back_by_undo(
    filled_owner: FakeOwner, open_page: Open
) -> None:
    run = a_run(filled_owner)
    app = named(open_page("cosmicrays"))
    assert app.button(key="edit_remove").disabled
    next(b for b in app.button if b.label == "Next hit").click().run()
    app.button(key="edit_remove").click().run()
    assert not app.exception
    (edit,) = rows(filled_owner)
    assert (edit["action"], edit["editor"], edit["run_id"]) == ("remove", "ann", run["run_id"])
    assert edit["threshold"] == 0.5
    (deltas,) = [m.delta for m in app.metric if m.label == "Hits at this threshold"]
    assert deltas == f"{run['hits'] - 1} with people's edits"
    app.button(key="edit_undo").click().run()
    assert [row["action"] for row in rows(filled_owner)] == ["remove", "undo"]
    assert mask_edits.edit_to_undo(filled_owner.store, run["frame_digest"], "ann") is None
    assert app.button(key="edit_undo").disabled


def test_an_edited_mask_is_there_for_who_comes_next(
    filled_owner: FakeOwner, open_page: Open
) -> None:
    app = named(open_page("cosmicrays"))
    app.button(key="edit_confirm").click().run()
    assert not app.exception
    (edit,) = rows(filled_owner)
    assert (edit["action"], edit["height"], edit["width"]) == ("confirm", 256, 256)
    text = "\n".join(c.value for c in named(open_page("cosmicrays")).caption)
    assert "**1** edits hold, by ann" in text
    assert "65,536 pixels judged by people (the frame was confirmed as a whole)" in text


def test_a_point_on_the_mask_is_its_whole_group(looking: FakeOwner) -> None:
    run = a_run(looking)
    mask = stored_probability(looking, run) > 0.5
    labels, _ = ndimage.label(mask, EIGHT)
    y, x = (int(place) for place in np.argwhere(mask)[-1])
    chosen = picked(point(run, y, x), run, mask_view(run, 0.5, []))
    assert chosen is not None
    np.testing.assert_array_equal(chosen.pixels, np.flatnonzero(labels == labels[y, x]))
    assert chosen.place == (y, x)
    assert chosen.group is not None


def test_a_point_beside_the_mask_is_what_reaches_half_its_probability(looking: FakeOwner) -> None:
    run = a_run(looking)
    stated = stored_probability(looking, run)
    y, x = (int(place) for place in np.argwhere((stated < 0.5) & (stated > 0.1))[0])
    labels, _ = ndimage.label(stated >= float(stated[y, x]) / 2, EIGHT)
    chosen = picked(point(run, y, x), run, mask_view(run, 0.5, []))
    assert chosen is not None
    np.testing.assert_array_equal(chosen.pixels, np.flatnonzero(labels == labels[y, x]))
    assert chosen.group is None


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"kind": "box", "y": 1, "x": 2, "height": 2, "width": 3}, (1, 2, 2, 3)),
        ({"kind": "box", "y": 250, "x": 254, "height": 99, "width": 99}, (250, 254, 6, 2)),
        ({"kind": "brush", "pixels": [{"y": 3, "x": 4}, {"y": 5, "x": 4}]}, (3, 4, 3, 1)),
        ({"kind": "brush", "pixels": [{"y": 300, "x": 4}]}, None),
        ({"kind": "point", "y": -1, "x": 0}, None),
        ({"kind": "box", "y": 300, "x": 0, "height": 1, "width": 1}, None),
    ],
)
def test_what_is_drawn_is_cut_to_the_frame(
    looking: FakeOwner, chosen: dict[str, Any], expected: tuple[int, ...] | None
) -> None:
    run = a_run(looking)
    found = picked(chosen | {"frame": run["frame_digest"]}, run, mask_view(run, 0.5, []))
    assert (found.box if found else None) == expected


def test_a_choice_on_another_frame_is_none(looking: FakeOwner) -> None:
    run = a_run(looking)
    assert picked(point(run, 0, 0) | {"frame": "another"}, run, mask_view(run, 0.5, [])) is None
    assert picked(None, run, mask_view(run, 0.5, [])) is None


def test_hits_come_with_the_least_certain_first(looking: FakeOwner) -> None:
    run = a_run(looking)
    view = mask_view(run, 0.5, [])
    hits = hits_of(run, view)
    stated = stored_probability(looking, run).ravel().astype(float)
    peaks = [stated[view.groups.members(group)].max() for group in range(view.groups.count)]
    np.testing.assert_allclose(hits.peak, peaks)
    assert list(hits.peak[hits.order]) == sorted(peaks)
    assert hits.sizes.sum() == run["flagged_pixels"]


def test_a_detection_on_masked_pixels_is_counted(looking: FakeOwner) -> None:
    run = a_run(looking)
    view = mask_view(run, 0.5, [])
    y, x = np.argwhere(view.said.mask)[0]
    around = view.said.mask[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].sum()
    assert masked_at({"y": float(y), "x": float(x)}, view) == around > 0
    assert masked_at({"y": -50.0, "x": 0.0}, view) == 0


def test_the_cleaned_frame_is_the_frame_with_the_inpainted_pixels(looking: FakeOwner) -> None:
    run = a_run(looking)
    cleaned = layers.cleaned_pixels(run)
    pixels, _ = layers.frame_pixels(run)
    assert cleaned is not None
    changed = cleaned != pixels
    assert changed.any()
    assert not (changed & ~(stored_probability(looking, run) > 0.5)).any()
    assert layers.cleaned_pixels(run | {"cleaned_values_file": None}) is None

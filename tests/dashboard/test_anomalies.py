"""The list of anomalies: what an address restores, what a name keeps, what a file is asked for."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.anomaly_list.gallery import OPENED, TICKED
from db.clusters import keep_map, kinds, vectors_of
from db.labels import KINDS
from db.queries import anomalies, clusters
from db.queries.wanted import Range, Wanted
from db.saved_views import saved_views
from tests.dashboard.conftest import Open
from tests.dashboard.fakes import FakeOwner
from tests.dashboard.test_pages import said
from tests.store_factory import group_in_two

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def address(app: AppTest) -> dict[str, str]:
    """The query of the address: as text what a page set, in a list what it began with."""
    given = app.query_params.items()
    return {name: value if isinstance(value, str) else value[0] for name, value in given}


def listed(app: AppTest) -> list[str]:
    (table,) = app.dataframe
    return [link.partition("=")[2] for link in table.value["open"]]


def test_an_address_restores_facets_order_and_face(looking: FakeOwner, open_page: Open) -> None:
    wanted = Wanted(
        verdicts=("candidate", "near_miss"),
        states=("no_match", "not_determined"),
        ranges=(Range("snr", 10.0, None),),
    )
    app = open_page(
        "anomalies", view="table", verdict="candidate,near_miss", sort="brightest",
        state="no_match,not_determined", snr="10..",
    )  # fmt: skip
    rows = anomalies.page_of_detections(looking.store, wanted=wanted, sort="brightest").rows
    assert 0 < len(rows) < 20
    assert listed(app) == [row["detection_id"] for row in rows]
    assert f"**{len(rows)}** of 20 detections" in said(app)
    assert "signal to noise ≥ 10" in [button.label for button in app.button]
    app.button(key="clear_all").click().run()
    assert len(listed(app)) == 20
    assert address(app) == {"view": "table", "sort": "brightest"}


@pytest.mark.parametrize(
    ("query", "words"),
    [({"since": "soon"}, "must be a day"), ({"d.x": "1..2"}, "no measure 'd.x'")],
)
def test_an_address_that_cannot_be_read_says_so(
    looking: FakeOwner, open_page: Open, query: dict[str, str], words: str
) -> None:
    app = open_page("anomalies", **query)
    assert any(words in error.value.replace("\\", "") for error in app.error)


def test_a_view_is_saved_under_a_name_with_its_address(
    filled_owner: FakeOwner, open_page: Open
) -> None:
    app = open_page("anomalies", verdict="candidate", sort="newest")
    app.text_input(key="view_name").set_value("tonight")
    app.text_input(key="view_by").set_value("ann")
    app.button(key="view_save").click().run()
    assert not app.exception
    (kept,) = saved_views(filled_owner.store, "anomalies")
    assert (kept["name"], kept["query"], kept["saved_by"]) == (
        "tonight", "verdict=candidate&sort=newest", "ann",
    )  # fmt: skip
    app.button(key=f"away_{kept['saving_id']}").click().run()
    assert saved_views(filled_owner.store, "anomalies") == []


def test_clusters_are_named_and_narrow_the_list(filled_owner: FakeOwner, open_page: Open) -> None:
    group_in_two(filled_owner.store)
    key = "g-0"
    app = open_page("anomalies", view="clusters")
    assert "20 of 20 detections" in said(app)
    app.text_input(key=f"name_{key}").set_value("rings")
    app.text_input(key=f"by_{key}").set_value("ann")
    app.button(key=f"keep_{key}").click().run()
    named = {row["cluster_key"]: row["name"] for row in clusters.clusters(filled_owner.store)}
    assert named[key] == "rings"
    app.button(key=f"show_{key}").click().run()
    assert "**10** of 20 detections" in said(app)
    assert address(app)["cluster"] == key
    assert any("rings" in option for each in app.multiselect for option in each.options)


@pytest.mark.parametrize(
    ("face", "button", "kind", "payload"),
    [
        ("clusters", "cluster", "cluster", {}),
        ("map", "map_tsne", "map", {"method": "tsne", "seed": 0}),
        ("gallery", "export_fits", "export", {"verdict": "candidate"}),
    ],
)
def test_what_takes_long_goes_through_the_queue(
    filled_owner: FakeOwner,
    open_page: Open,
    face: str,
    button: str,
    kind: str,
    payload: dict[str, object],
) -> None:
    narrowed = {"verdict": "candidate"} if face == "gallery" else {}
    app = open_page("anomalies", view=face, **narrowed)
    app.button(key=button).click().run()
    assert not app.exception
    (request,) = filled_owner.store.rows("SELECT * FROM requests WHERE kind = ?", [kind])
    assert json.loads(request["payload"]) == payload


def test_labels_in_bulk_are_rows_of_their_own_and_come_back_together(
    filled_owner: FakeOwner, open_page: Open
) -> None:
    app = open_page("anomalies", verdict="candidate")
    store = filled_owner.store
    wanted = anomalies.ids_of(store, Wanted(verdicts=("candidate",)))
    app.session_state[TICKED] = wanted[:2]
    app.text_input(key="bulk_labeller").set_value("ann").run()
    app.button_group(key="bulk_grade").set_value("3").run()
    before = store.changes
    app.button(key="bulk_codec_artefact").click().run()
    assert not app.exception
    rows = store.rows("SELECT * FROM current_labels ORDER BY detection_id")
    assert [row["detection_id"] for row in rows] == sorted(wanted[:2])
    said = {(row["label"], row["kind"], row["grade"], row["labeller"]) for row in rows}
    assert said == {("reject", "codec_artefact", 3, "ann")}
    assert (len({row["label_id"] for row in rows}), store.changes) == (2, before + 1)
    assert app.session_state[TICKED] == []
    app.button(key="bulk_undo").click().run()
    assert store.rows("SELECT * FROM current_labels") == []
    assert (len(store.rows("SELECT * FROM labels")), store.changes) == (4, before + 2)


def test_labels_in_bulk_are_written_wholly_or_not_at_all(
    filled_owner: FakeOwner, open_page: Open
) -> None:
    app = open_page("anomalies")
    store = filled_owner.store
    app.session_state[TICKED] = [*anomalies.ids_of(store, limit=3), "gone"]
    app.text_input(key="bulk_labeller").set_value("ann").run()
    app.button(key="bulk_boring").click().run()
    assert any("unknown" in error.value for error in app.error)
    assert store.rows("SELECT * FROM labels") == []
    assert len(app.session_state[TICKED]) == 4


def test_the_bar_and_the_facets_offer_every_kind_and_grade(
    filled_owner: FakeOwner, open_page: Open
) -> None:
    store = filled_owner.store
    first, second, *_ = anomalies.ids_of(store)
    filled_owner.labelling.say(
        [
            {"label_id": "1", "detection_id": first, "labeller": "ann", "kind": "cosmic_ray",
             "grade": 2},
            {"label_id": "2", "detection_id": second, "labeller": "ann", "kind": "instrument"},
        ]
    )  # fmt: skip
    app = open_page("anomalies", view="table", called="cosmic_ray,boring")
    assert listed(app) == [first]
    for kind in KINDS:
        assert app.button(key=f"bulk_{kind}").label
    pills = {group.label: group.options for group in app.button_group if group.label}
    assert pills["People call it"] == [
        "Astrophysical 0", "Cosmic ray 1", "Codec artefact 0", "Instrument 1", "Known object 0",
        "Boring 0", "Unsure 0",
    ]  # fmt: skip
    assert pills["People's interest"][2] == "2 (1)"
    assert listed(open_page("anomalies", view="table", grade="2")) == [first]
    assert listed(open_page("anomalies", view="table", sort="graded"))[0] == first


def test_what_the_gallery_opens_is_shown_in_full(looking: FakeOwner, open_page: Open) -> None:
    (row,) = anomalies.page_of_detections(looking.store, limit=1).rows
    app = open_page("anomalies", verdict="candidate")
    app.session_state[OPENED] = row["detection_id"]
    app.run()
    assert address(app)["detection"] == row["detection_id"]
    assert "People say" in said(app)
    next(button for button in app.button if button.label == "All detections").click().run()
    assert address(app) == {"verdict": "candidate"}


@pytest.mark.parametrize("face", ["map", "scores", "nights", "flares"])
def test_every_face_stands(filled_owner: FakeOwner, open_page: Open, face: str) -> None:
    (kind,) = kinds(filled_owner.store)
    ids, _ = vectors_of(filled_owner.store, kind, (), 100)
    keep_map(
        filled_owner.store, kind, "pca", ids, np.random.default_rng(0).normal(size=(len(ids), 2)),
        map_id="m", seed=0, left_out=0, explained=0.4, asked_by="t", now=NOW,
    )  # fmt: skip
    app = open_page("anomalies", view=face)
    assert not app.error
    words = {
        "map": "its two axes keep 40% of their variance",
        "scores": "Drag over a histogram",
        "nights": "No cycle has ended with a list yet",
        "flares": "nothing in them flared up",
    }
    assert words[face] in said(app)


def test_a_detection_says_why_and_where_it_comes_from(
    filled_owner: FakeOwner, open_page: Open
) -> None:
    store = filled_owner.store
    (row,) = anomalies.page_of_detections(store, verdict="near_miss", limit=1).rows
    policies = "UPDATE policies SET policy = ? WHERE pipeline = 'anomaly' RETURNING policy_digest"
    rates = json.dumps({"pipeline": "anomaly", "false_positive_rate": 0.01, "near_miss_rate": 0.05})
    store.move(policies, [rates])
    store.write(
        {
            "drift_reports": [
                {"report_id": "d", "source": row["source"], "reference": "r",
                 "model_digest": row["model_digest"], "n": 9, "expired": True, "reason": "shifted",
                 "cycle_id": "cycle-2", "measured_at": NOW}
            ],
            "calibrations": [
                {"calibration_id": "c", "source": row["source"], "version": 3, "reference": "r",
                 "model_digest": row["model_digest"], "fitted_on": 300, "calibrated_on": 150,
                 "cause": "person", "made_at": NOW}
            ],
            "descriptions": [
                {"description_id": "t", "detection_id": row["detection_id"], "provider": "ollama",
                 "model": "m", "prompt": "p", "text": "a smooth ring", "made_at": NOW}
            ],
        }
    )  # fmt: skip
    text = said(open_page("anomalies", detection=row["detection_id"]))
    decades = np.log10(row["p_value"] / 0.01)
    assert f"{decades:.2f} decades away" in text
    assert "calibration expired" in text
    assert "1 of 3 methods find it odd at p ≤ 0.01: mahalanobis" in text
    assert "number 3 of this source" in text
    assert "near miss rate: `0.05`" in text
    assert row["frame_digest"] in text
    assert "a smooth ring" in text
    assert "Machine text by m" in text
    assert "SIMBAD" in text

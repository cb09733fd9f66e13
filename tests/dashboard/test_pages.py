"""Every page: its title, a number that the store also gives, and what it says when empty."""

from __future__ import annotations

import io
import json
import re

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from db.queries import anomalies, calibration, compression, cosmicrays
from tests.dashboard.conftest import Open
from tests.dashboard.fakes import FakeOwner

TITLES = {
    "overview": "Overview",
    "compression": "Compression",
    "downlink": "Downlink",
    "cosmicrays": "Cosmic rays",
    "calibration": "Calibration",
    "anomalies": "Anomalies",
    "crossmatch": "Cross-match",
    "verify": "Verify",
    "models": "Models",
    "jobs": "Jobs",
}


def said(app: AppTest) -> str:
    """All text of a page."""
    kinds = ("markdown", "caption", "info", "warning", "error", "success", "code", "subheader")
    return "\n".join(str(element.value) for kind in kinds for element in app.get(kind))


def metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


@pytest.mark.parametrize(("name", "title"), TITLES.items())
def test_without_an_owner_a_page_says_how_to_start_one(
    open_page: Open, name: str, title: str
) -> None:
    app = open_page(name)
    assert [element.value for element in app.title] == [title]
    assert "skysieve serve" in said(app)
    assert not app.metric


@pytest.mark.parametrize(("name", "title"), TITLES.items())
def test_an_empty_store_offers_the_next_step(
    empty_owner: FakeOwner, open_page: Open, name: str, title: str
) -> None:
    app = open_page(name)
    assert [element.value for element in app.title] == [title]
    assert "skysieve demo" in said(app)
    app.button(key="demo").click().run()
    assert not app.exception
    (request,) = empty_owner.store.rows("SELECT kind, payload, state FROM requests")
    assert (request["kind"], request["state"]) == ("scan", "queued")
    assert json.loads(request["payload"])["source"] == "sim:demo"
    assert app.get("progress")


def test_asking_for_the_demo_twice_asks_once(empty_owner: FakeOwner, open_page: Open) -> None:
    app = open_page("overview")
    app.button(key="demo").click().run()
    app.button(key="demo").click().run()
    assert len(empty_owner.store.rows("SELECT * FROM requests")) == 1


@pytest.mark.parametrize(("name", "title"), TITLES.items())
def test_every_page_stands_on_a_filled_store(
    looking: FakeOwner, open_page: Open, name: str, title: str
) -> None:
    app = open_page(name)
    assert [element.value for element in app.title] == [title]
    assert not app.error


def test_an_upload_goes_through_the_queue(filled_owner: FakeOwner, open_page: Open) -> None:
    picture = io.BytesIO()
    Image.new("L", (8, 8)).save(picture, format="PNG")
    app = open_page("overview")
    app.file_uploader(key="upload_file").upload("night.png", picture.getvalue(), "image/png")
    next(button for button in app.button if button.label == "Analyse").click().run()
    assert not app.exception
    (request,) = filled_owner.store.rows("SELECT * FROM requests WHERE kind = 'upload'")
    payload = json.loads(request["payload"])
    assert payload["name"] == "night.png"
    assert filled_owner.store.files.get(payload["digest"]) == picture.getvalue()
    assert any("upload" in bar.text for bar in app.get("progress")) or app.get("progress")


def test_an_upload_that_is_too_large_is_refused_with_the_reason(
    filled_owner: FakeOwner, open_page: Open
) -> None:
    filled_owner.settings = filled_owner.settings.model_copy(update={"max_upload_bytes": 2**20})
    app = open_page("overview")
    app.file_uploader(key="upload_file").upload("big.png", b"x" * (2**20 + 1), "image/png")
    next(button for button in app.button if button.label == "Analyse").click().run()
    assert "more than the" in said(app)
    assert not filled_owner.store.rows("SELECT * FROM requests WHERE kind = 'upload'")


def test_compression_states_rate_depth_and_how_far_its_maps_can_be_believed(
    looking: FakeOwner, open_page: Open
) -> None:
    app = open_page("compression")
    summary = compression.codec_summary(looking.store)
    (badge,) = compression.calibration_badges(looking.store)
    assert metrics(app)["Frames coded"] == "6"
    assert metrics(app)["Median rate"] == f"{summary['bpp']:.3g} bpp"
    text = said(app)
    assert f"Spearman {badge['dropout_spearman']:.2f} with the true error" in text
    assert f"Spearman {badge['predicted_spearman']:.2f} with the true error" in text
    assert "against 16-bit samples" in text
    assert len(app.get("image")) == 5


def test_compression_opens_the_frame_that_the_address_names(
    looking: FakeOwner, open_page: Open
) -> None:
    last = compression.codec_runs(looking.store)[-1]
    app = open_page("compression", frame=last["frame_digest"])
    assert any("field" in heading.value and "005" in heading.value for heading in app.subheader)


def test_cosmic_rays_count_what_is_above_the_stored_threshold(
    looking: FakeOwner, open_page: Open
) -> None:
    app = open_page("cosmicrays")
    run = cosmicrays.cosmic_ray_runs(looking.store)[0]
    assert metrics(app)["Frames searched"] == "5"
    assert metrics(app)["Hits"] == str(cosmicrays.cosmic_ray_summary(looking.store)["hits"])
    assert f"{run['flagged_pixels']} pixels above 0.50 in {run['hits']} connected" in said(app)


def test_another_threshold_flags_other_pixels(looking: FakeOwner, open_page: Open) -> None:
    app = open_page("cosmicrays")
    app.slider[0].set_value(0.05).run()
    assert not app.exception
    before = cosmicrays.cosmic_ray_runs(looking.store)[0]["flagged_pixels"]
    line = next(c.value for c in app.caption if "pixels above 0.05" in c.value)
    assert int(line.split()[0].replace(",", "")) > before


def test_cosmic_rays_say_where_they_do_not_apply(looking: FakeOwner, open_page: Open) -> None:
    app = open_page("cosmicrays")
    assert metrics(app)["Not applicable"] == "1"
    tables = [frame.value for frame in app.dataframe]
    assert any("why" in table.columns or "reason" in table.columns for table in tables)


def test_calibration_shows_the_chosen_report(looking: FakeOwner, open_page: Open) -> None:
    reports = calibration.reports(looking.store)
    app = open_page("calibration")
    assert metrics(app)["ECE, equal width"] == f"{reports[0]['ece']:.3g}"
    app.selectbox(key="report").set_value(reports[1]["report_id"]).run()
    assert metrics(app)["ECE, equal width"] == f"{reports[1]['ece']:.3g}"
    assert "n = 100,000" in said(app)


def test_anomalies_narrow_by_verdict_and_open_by_address(
    looking: FakeOwner, open_page: Open
) -> None:
    app = open_page("anomalies", view="table")
    candidates = anomalies.page_of_detections(looking.store, verdict="candidate").rows
    assert metrics(app)["Detections"] == "20"
    assert metrics(app)["Candidates"] == str(len(candidates))
    verdicts = next(each for each in app.get("button_group") if each.label == "Machine's verdict")
    verdicts.set_value(["candidate"]).run()
    (listed,) = app.dataframe
    assert list(listed.value["p_value"]) == [row["p_value"] for row in candidates]
    assert app.query_params["verdict"] == "candidate"


def test_a_deep_link_shows_one_detection_in_full(looking: FakeOwner, open_page: Open) -> None:
    (row,) = anomalies.page_of_detections(looking.store, verdict="candidate", limit=1).rows
    app = open_page("anomalies", detection=row["detection_id"])
    assert metrics(app)["p-value"] == f"{row['p_value']:.3g}"
    text = said(app)
    assert "not determined" in text
    assert "People say" in text
    (scores,) = [f.value for f in app.dataframe if "method" in f.value.columns]
    assert list(scores["method"]) == ["mahalanobis", "knn", "pca_residual"]


def test_a_deep_link_to_nothing_says_so(looking: FakeOwner, open_page: Open) -> None:
    app = open_page("anomalies", detection="<b>no</b>")
    assert "No detection" in app.error[0].value


def test_asking_the_catalogues_goes_through_the_queue(
    filled_owner: FakeOwner, open_page: Open
) -> None:
    (row,) = anomalies.page_of_detections(filled_owner.store, limit=1).rows
    app = open_page("anomalies", detection=row["detection_id"])
    next(button for button in app.button if "catalogues" in button.label).click().run()
    assert not app.exception
    (request,) = filled_owner.store.rows("SELECT * FROM requests WHERE kind = 'crossref'")
    assert json.loads(request["payload"]) == {"detection_id": row["detection_id"]}


def test_names_of_files_are_shown_as_text_never_as_markup(
    looking: FakeOwner, open_page: Open
) -> None:
    hostile = looking.store.rows(
        "SELECT frame_digest FROM observations WHERE contains(object_id, 'onerror')"
    )
    app = open_page("compression", frame=hostile[0]["frame_digest"])
    headings = [heading.value for heading in app.subheader]
    assert any(r"\<img src\=x" in heading for heading in headings)
    assert not any(re.search(r"(?<!\\)[<\[]", heading) for heading in headings)


def test_a_lost_file_is_said_in_its_place(filled_owner: FakeOwner, open_page: Open) -> None:
    run = compression.codec_runs(filled_owner.store)[0]
    filled_owner.store.files.path(run["error_file"]).unlink()
    app = open_page("compression", frame=run["frame_digest"])
    assert any("True error" in error.value and "missing" in error.value for error in app.error)
    assert len(app.get("image")) == 4

from __future__ import annotations

from db.queries import catalogues
from db.store import Store
from tests.db.queries import rows


def answered(store: Store) -> None:
    """Five detections, two services: what each answered about each."""
    store.write(
        {
            "runs": [rows.run("r", "f")],
            "detections": [rows.detection(name) for name in "abcde"],
            "catalogue_queries": [
                rows.asked("a", "simbad", "match"),
                rows.asked("a", "ned", "not_determined", reason="timed out"),
                rows.asked("b", "simbad", "no_match"),
                rows.asked("b", "ned", "not_determined", asked_at=rows.at(-5)),
                rows.asked("b", "ned", "no_match"),
                rows.asked("c", "simbad", "no_match"),
                rows.asked("c", "ned", "not_determined", asked_at=rows.at(5), reason="HTTP 503"),
                rows.asked("d", "simbad", "no_match"),
            ],
            "catalogue_matches": [
                {
                    "query_id": "a-simbad-match",
                    "rank": rank,
                    "object_name": name,
                    "object_type": "Galaxy",
                    "ra_deg": 1.0,
                    "dec_deg": 2.0,
                    "separation_arcsec": separation,
                }
                for rank, name, separation in ((1, "M 32", 3.0), (0, "M 31", 0.5))
            ],
        }
    )


def test_absence_needs_the_answer_of_every_service(store: Store) -> None:
    answered(store)
    assert catalogues.summary(store) == {
        "match": 1,
        "no_match": 1,
        "not_determined": 2,
        "not_asked": 1,
        "waiting": 2,
        "without_position": 1,
    }


def test_a_silent_service_shows_its_last_answer_and_reason(store: Store) -> None:
    answered(store)
    ned, simbad = catalogues.services(store)
    assert (ned["service"], ned["asked"], ned["not_determined"]) == ("ned", 4, 3)
    assert ned["last_answer_at"] == rows.T0
    assert ned["last_reason"] == "HTTP 503"
    assert (simbad["match"], simbad["no_match"], simbad["last_reason"]) == (1, 3, None)


def test_the_answers_on_a_detection_name_the_nearest_object(store: Store) -> None:
    answered(store)
    ned, simbad = catalogues.answers(store, "a")
    assert (ned["answer"], ned["reason"], ned["object_name"]) == (
        "not_determined",
        "timed out",
        None,
    )
    assert (simbad["object_name"], simbad["matches"]) == ("M 31", 2)
    assert [row["answer"] for row in catalogues.answers(store, "b")] == ["no_match", "no_match"]

"""What each route does: read through db's queries, or ask the owner."""

from __future__ import annotations

import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db import digests as digest_pages
from db import labels as label_log
from db import requests as queue
from db.catalogues import places
from db.errors import StoreError
from db.queries import anomalies, catalogues, evidence, frames
from db.queries import jobs as history
from db.queries import labels as label_pages
from db.queries import runs as run_pages
from db.queries.descriptions import descriptions
from db.queries.paging import Page
from db.sql import read_only
from jobs.api import lists
from jobs.api.call import Call
from jobs.api.labelling import label_of
from jobs.descriptions import endpoint_of
from jobs.errors import JobError, UsageError
from jobs.export import export_archive
from jobs.owner import Owner
from jobs.regions import ds9_regions

Answer = dict[str, Any]
PNG = b"\x89PNG"


@dataclass(frozen=True)
class Content:
    """An answer that is not JSON."""

    body: bytes
    media_type: str
    file_name: str = ""


class NotThere(JobError):
    """The thing named in the path is not in the store."""


def health(owner: Owner, call: Call) -> Answer:  # noqa: ARG001
    """Whether the owner is well."""
    return owner.health()


def images(owner: Owner, call: Call) -> Answer:
    """A page of stored images."""
    return _page(
        frames.page_of_frames(
            owner.store,
            limit=call.limit,
            cursor=call.cursor,
            source=call.query.get("source"),
            text=call.query.get("q"),
        )
    )


def image(owner: Owner, call: Call) -> Answer:
    """One image with its runs and detections."""
    digest = call.path["id"]
    row = frames.frame(owner.store, digest)
    if row is None:
        raise NotThere(f"no image {digest!r}")
    return {
        **row,
        "runs": frames.runs_of_frame(owner.store, digest),
        "detections": anomalies.detections_of_frame(owner.store, digest),
    }


def file(owner: Owner, call: Call) -> Content:
    """One content-addressed file: a preview, a map, a bitstream."""
    digest = call.path["digest"]
    if not owner.store.files.exists(digest):
        raise NotThere(f"no file {digest!r}")
    body = owner.store.files.get(digest)
    return Content(body, "image/png" if body.startswith(PNG) else "application/octet-stream")


def upload(owner: Owner, call: Call) -> Answer:
    """Take in one image file, sent as the body, named by ?name=."""
    name = call.query.get("name", "")
    if not name:
        raise UsageError("name the file: POST /api/images?name=FILE with the file as the body")
    return _ask(owner, call, "upload", owner.store_upload(name, call.body))


def candidate_file(owner: Owner, call: Call) -> Content:
    """All detections of a list as one file: ?format=csv|json|parquet|votable|ds9."""
    return Content(*lists.file_of(owner, call))


def bundle(owner: Owner, call: Call) -> Content:
    """A FITS bundle of cutouts that was asked for."""
    return Content(*lists.bundle(owner, call))


def similar(owner: Owner, call: Call) -> Answer:
    """Detections whose search vectors point the same way; ?more= and ?less= steer by examples."""
    detection_id = _detection_id(owner, call)
    more, less = ([one for one in call.query.get(name, "").split(",") if one]
                  for name in ("more", "less"))  # fmt: skip
    rows = evidence.similar(owner.store, detection_id, call.limit, more=more, less=less)
    return {"rows": rows, "next": None}


def duplicates(owner: Owner, call: Call) -> Answer:
    """Detections whose pictures are nearly the same; ?bits= of 64 may differ in their hashes."""
    text = call.query.get("bits", str(evidence.NEAR_BITS))
    if not (text.isdecimal() and int(text) <= 32):
        raise UsageError(f"bits must be a number from 0 to 32, got {text!r}")
    detection_id = _detection_id(owner, call)
    rows = evidence.duplicates(owner.store, detection_id, int(text), call.limit)
    return {"rows": rows, "next": None}


def detection_evidence(owner: Owner, call: Call) -> Answer:
    """One detection with its evidence, its scores on every version, and contributions."""
    detection_id = _detection_id(owner, call)
    found = anomalies.detection(owner.store, detection_id) or {}
    return {
        **found,
        "scores": anomalies.scores(owner.store, detection_id),
        "evidence": evidence.evidence(owner.store, detection_id),
        "versions": evidence.versions(owner.store, detection_id),
        "version_scores": evidence.version_scores(owner.store, detection_id),
        "contributions": evidence.contributions(owner.store, detection_id),
    }


def nights(owner: Owner, call: Call) -> Answer:  # noqa: ARG001
    """The newest list of every source at its false-discovery rate, and whether drift was seen."""
    lists = [
        {**row, "rows": evidence.list_rows(owner.store, row["list_id"])}
        for row in evidence.latest_lists(owner.store)
    ]
    return {"rows": lists, "drift": evidence.drift(owner.store), "next": None}


def _detection_id(owner: Owner, call: Call) -> str:
    detection_id = call.path["id"]
    if anomalies.detection(owner.store, detection_id) is None:
        raise NotThere(f"no detection {detection_id!r}")
    return detection_id


def analyze(owner: Owner, call: Call) -> Answer:
    """Analyse a stored image again with the models and policies of now."""
    digest = call.path["id"]
    if frames.frame(owner.store, digest) is None:
        raise NotThere(f"no image {digest!r}")
    return _ask(owner, call, "analyze", {"frame_digest": digest})


def crossref(owner: Owner, call: Call) -> Answer:
    """Ask the catalogues about a detection."""
    detection_id = call.path["id"]
    row = anomalies.detection(owner.store, detection_id)
    if row is None:
        raise NotThere(f"no detection {detection_id!r}")
    if row["ra_deg"] is None:
        raise UsageError("this detection has no sky position: its image came without a WCS")
    return _ask(owner, call, "crossref", {"detection_id": detection_id})


def crossref_many(owner: Owner, call: Call) -> Answer:
    """Ask about the detections named (`detections`), or about all that are open (`open`)."""
    document = call.json()
    if call.flag("open"):
        return _ask(owner, call, "crossref", {"open": True, "new": bool(call.flag("new"))})
    ids = document.get("detections")
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids) or not ids:
        raise UsageError('name detections ({"detections": [id, ...]}), or send {"open": true}')
    located = {row["detection_id"] for row in places(owner.store, ids)}
    missing = [each for each in ids if each not in located]
    if missing:
        raise UsageError(f"detection {missing[0]!r} is unknown or has no sky position")
    return _ask(owner, call, "crossref", {"detection_ids": ids})


def crossref_objects(owner: Owner, call: Call) -> Answer:
    """A page of detections with what is known about them; ?state=, ?verdict=, ?q=."""
    state = call.query.get("state")
    if state is not None and state not in catalogues.STATES:
        raise UsageError(f"state must be one of {', '.join(catalogues.STATES)}, got {state!r}")
    return _page(
        catalogues.page_of_objects(
            owner.store,
            limit=call.limit,
            cursor=call.cursor,
            state=state,
            verdict=call.query.get("verdict"),
            text=call.query.get("q"),
        )
    )


def crossref_regions(owner: Owner, call: Call) -> Content:
    """The places of the detections as DS9 regions; ?state=, ?verdict=."""
    rows = catalogues.regions(
        owner.store, state=call.query.get("state"), verdict=call.query.get("verdict")
    )
    return Content(ds9_regions(rows).encode(), "text/plain; charset=utf-8", "skysieve.reg")


def crossref_summary(owner: Owner, call: Call) -> Answer:  # noqa: ARG001
    """How many detections are known, unknown and not determined, and how the services do."""
    services = catalogues.services(owner.store)
    return {**catalogues.summary(owner.store), "services": services}


def scan(owner: Owner, call: Call) -> Answer:
    """Ask for a scan of a source."""
    (source,) = call.required("source")
    payload = {
        "source": source,
        "limit": call.count("limit"),
        "aggressive": bool(call.flag("aggressive")),
    }
    return _ask(owner, call, "scan", payload)


def scan_state(owner: Owner, call: Call) -> Answer:
    """How far a request is."""
    try:
        return queue.get_request(owner.store, call.path["id"])
    except StoreError as error:
        raise NotThere(str(error)) from error


def cancel_scan(owner: Owner, call: Call) -> Answer:
    """Take a request back."""
    try:
        return owner.cancel(call.path["id"])
    except StoreError as error:
        raise NotThere(str(error)) from error


def labels(owner: Owner, call: Call) -> Answer | Content:
    """The label log, oldest first; ?format=csv for a file."""
    if call.query.get("format") == "csv":
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "labels.csv"
            label_log.export_labels(owner.store, path)
            return Content(path.read_bytes(), "text/csv", "labels.csv")
    return _page(label_pages.page_of_labels(owner.store, limit=call.limit, cursor=call.cursor))


def add_label(owner: Owner, call: Call) -> Answer:
    """Write a label, an undo, or a CSV of labels."""
    if call.content_type.startswith("text/csv"):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "labels.csv"
            path.write_bytes(call.body)
            return dict(label_log.import_labels(owner.store, path))
    document = call.json()
    label_id = str(document.get("label_id") or uuid.uuid4())
    if "undoes" in document:
        undoes, labeller = call.required("undoes", "labeller")
        owner.undo(undoes, labeller, label_id=label_id)
    else:
        owner.labelling.say([label_of(call, label_id)])
    return {"label_id": label_id}


def query(owner: Owner, call: Call) -> Answer:
    """Answer one reading SQL statement."""
    (sql,) = call.required("sql")
    table = read_only(owner.store, sql)
    truncated = (table.schema.metadata or {}).get(b"truncated") == b"true"
    return {"columns": table.column_names, "rows": table.to_pylist(), "truncated": truncated}


def export(owner: Owner, call: Call) -> Content:  # noqa: ARG001
    """Every table as Parquet, in one zip."""
    return Content(export_archive(owner.store), "application/zip", "skysieve-export.zip")


def backup(owner: Owner, call: Call) -> Answer:
    """Write a backup to a path on the owner's machine."""
    (target,) = call.required("target")
    if not Path(target).is_absolute():
        raise UsageError(f"target must be an absolute path on the server's machine, got {target!r}")
    return _ask(owner, call, "backup", {"target": target})


def schedules(owner: Owner, call: Call) -> Answer:  # noqa: ARG001
    """All schedules with their next turns."""
    return {"rows": owner.schedules(), "next": None}


def change_schedule(owner: Owner, call: Call) -> Answer:
    """Add a schedule (source, every_s or cron), or change one (schedule_id and what is to change).

    Also `limit`, `policy` (normal, aggressive), `choice` (fixed, thompson over "A | B"), `kind`.
    """
    document = call.json()
    every_s, limit = call.number("every_s", low=1), call.count("limit")
    named = {name: call.text(name) for name in ("cron", "policy", "choice", "kind")}
    given = {name: value for name, value in named.items() if value is not None}
    if "schedule_id" not in document:
        (source,) = call.required("source")
        if every_s is None and "cron" not in given:
            raise UsageError("every_s is missing: how many seconds between two scans (or cron)")
        return {"schedule_id": owner.add_schedule(source, every_s, limit, **given)}
    (schedule_id,) = call.required("schedule_id")
    if call.flag("remove"):
        owner.remove_schedule(schedule_id)
    elif call.flag("run_now"):
        owner.run_schedule_now(schedule_id, str(document.get("request_id") or uuid.uuid4()))
    else:
        given.pop("kind", None)
        owner.change_schedule(
            schedule_id, every_s=every_s, paused=call.flag("paused"), limit=limit, **given
        )
    return {"schedule_id": schedule_id}


def digests(owner: Owner, call: Call) -> Answer:
    """The newest digests."""
    return {"rows": digest_pages.digests(owner.store, call.limit), "next": None}


def digest(owner: Owner, call: Call) -> Content:
    """One digest, as the page that it is."""
    row = digest_pages.digest(owner.store, call.path["id"])
    if row is None:
        raise NotThere(f"no digest {call.path['id']!r}")
    return Content(owner.store.files.get(row["html_file"]), "text/html")


def describe(owner: Owner, call: Call) -> Answer:
    """Let the language model of the settings describe one detection."""
    endpoint_of(owner.settings)
    return _ask(owner, call, "describe", {"detection_id": _detection_id(owner, call)})


def descriptions_of(owner: Owner, call: Call) -> Answer:
    """What a language model wrote about one detection: machine text."""
    return {"rows": descriptions(owner.store, _detection_id(owner, call)), "next": None}


def learn(owner: Owner, call: Call) -> Answer:
    """Refit the ranking on the labels; what is better on held-out ones is promoted."""
    return _ask(owner, call, "learn", {"role": "interest"})


def roll_back(owner: Owner, call: Call) -> Answer:
    """Ask to take the last promotion back: the numbers before it hold again."""
    named = call.text("model_digest")
    return _ask(
        owner, call, "roll_back",
        {"role": "interest"} | ({"model_digest": named} if named else {}),
    )  # fmt: skip


def promote(owner: Owner, call: Call) -> Answer:
    """Ask to give the ranking to a model that was learned here."""
    (digest,) = call.required("model_digest")
    return _ask(owner, call, "promote", {"role": "interest", "model_digest": digest})


def calibrate(owner: Owner, call: Call) -> Answer:
    """Fit a source's reference on its stored frames, and judge them by it."""
    (source,) = call.required("source")
    return _ask(owner, call, "calibrate", {"source": source})


def runs(owner: Owner, call: Call) -> Answer:
    """A page of runs, the newest first."""
    return _page(
        run_pages.page_of_runs(
            owner.store,
            limit=call.limit,
            cursor=call.cursor,
            pipeline=call.query.get("pipeline"),
            status=call.query.get("status"),
        )
    )


def models(owner: Owner, call: Call) -> Answer:  # noqa: ARG001
    """The models that results were made with."""
    return {"rows": history.models(owner.store), "next": None}


def nothing(owner: Owner, call: Call) -> Answer:  # noqa: ARG001
    """Say that there is no such route."""
    raise NotThere(f"no route /api/{call.path['rest']}")


def _page(page: Page) -> Answer:
    return {"rows": page.rows, "next": page.next}


def _ask(owner: Owner, call: Call, kind: str, payload: dict[str, Any]) -> Answer:
    """Enqueue under the caller's request_id, so that sending it twice asks once."""
    given = call.query.get("request_id")
    if given is None and kind != "upload":
        given = call.json().get("request_id")
    request_id = str(given or uuid.uuid4())
    try:
        return owner.enqueue(kind, payload, request_id=request_id, asked_by="api")
    except StoreError as error:
        raise UsageError(str(error)) from error

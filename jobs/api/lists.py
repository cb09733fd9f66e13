"""Lists of detections: their facets in an address, their files, saved views, clusters, maps."""

from __future__ import annotations

import uuid
from typing import Any

from db import saved_views
from db.errors import StoreError
from db.queries import anomalies
from db.queries import clusters as groups
from jobs.addresses import wanted_of
from jobs.api.call import Call
from jobs.candidate_files import format_named, write_list
from jobs.errors import UsageError
from jobs.grouping import verdicts_named
from jobs.owner import Owner

Answer = dict[str, Any]


def candidates(owner: Owner, call: Call) -> Answer:
    """A page of detections; ?verdict=all for every verdict, facets as `wanted_of` reads them."""
    wanted, sort = wanted_of(call.query, "candidate")
    page = anomalies.page_of_detections(
        owner.store, limit=call.limit, cursor=call.cursor, wanted=wanted, sort=sort
    )
    return {"rows": page.rows, "next": page.next}


def file_of(owner: Owner, call: Call) -> tuple[bytes, str, str]:
    """All detections of a list as a file (csv, json, parquet, votable, ds9): body, type, name."""
    name = call.query.get("format", "csv")
    chosen = format_named(name)
    wanted, sort = wanted_of(call.query, "candidate")
    table = anomalies.listed(owner.store, wanted, sort)
    address = "&".join(f"{key}={value}" for key, value in call.query.items())
    return write_list(table, name, address), chosen.media_type, f"skysieve{chosen.ending}"


def ask_for_bundle(owner: Owner, call: Call) -> Answer:
    """Ask for a FITS bundle of cutouts; the body's fields narrow it as an address does."""
    document = call.json()
    query = {key: str(value) for key, value in document.items() if key != "request_id"}
    wanted_of(query)
    return _ask(owner, call, "export", query)


def bundle(owner: Owner, call: Call) -> tuple[bytes, str, str]:
    """A bundle that was asked for: body, type, name. Raises UsageError before it is done."""
    path = owner.settings.home / "exports" / f"{_safe(call.path['id'])}.fits"
    if not path.is_file():
        raise UsageError(
            f"no bundle {call.path['id']!r}: ask with POST /api/bundles and wait until it is done"
        )
    return path.read_bytes(), "application/fits", "skysieve-cutouts.fits"


def clusters(owner: Owner, call: Call) -> Answer:  # noqa: ARG001
    """The current clusters, the largest first, with their names."""
    return {"rows": groups.clusters(owner.store), "next": None}


def ask_for_clusters(owner: Owner, call: Call) -> Answer:
    """Cluster the current anomalies anew: `verdicts`, `close` (cosine), `fewest`, `kind`."""
    document = call.json()
    payload: dict[str, Any] = {}
    if (verdicts := document.get("verdicts")) is not None:
        if not isinstance(verdicts, list):
            raise UsageError(f"verdicts must be a list, got {verdicts!r}")
        payload["verdicts"] = list(verdicts_named([str(each) for each in verdicts]))
    if kind := call.text("kind"):
        payload["kind"] = kind
    for name, low in (("close", -1.0), ("fewest", 2.0)):
        if (number := call.number(name, low=low)) is not None:
            payload[name] = number
    return _ask(owner, call, "cluster", payload)


def name_cluster(owner: Owner, call: Call) -> Answer:
    """Give a cluster a name: `name` (empty: take it away), `labeller`."""
    name, labeller = call.required("name", "labeller")
    naming_id = str(call.json().get("naming_id") or uuid.uuid4())
    return owner.name_cluster(call.path["id"], name, labeller, naming_id=naming_id)


def maps(owner: Owner, call: Call) -> Answer:  # noqa: ARG001
    """The maps that hold."""
    return {"rows": groups.maps(owner.store), "next": None}


def ask_for_map(owner: Owner, call: Call) -> Answer:
    """Lay the search vectors out on a plane: `method` (pca, tsne), `seed`."""
    document = call.json()
    return _ask(owner, call, "map", {
        "method": str(document.get("method") or "pca"), "seed": int(call.count("seed", low=0) or 0),
    })  # fmt: skip


def views(owner: Owner, call: Call) -> Answer:
    """The saved views of a page; ?page=anomalies."""
    rows = saved_views.saved_views(owner.store, call.query.get("page", "anomalies"))
    return {"rows": rows, "next": None}


def save_view(owner: Owner, call: Call) -> Answer:
    """Save a view (`name`, `query`, `labeller`, `page`), or take one away (`remove`: true)."""
    name, labeller = call.required("name", "labeller")
    page = call.text("page") or "anomalies"
    saving_id = str(call.json().get("saving_id") or uuid.uuid4())
    if call.flag("remove"):
        owner.remove_view(page, name, labeller, saving_id=saving_id)
        return {"saving_id": saving_id}
    query = call.text("query") or ""
    return owner.save_view(page, name, query, labeller, saving_id=saving_id)


def _safe(name: str) -> str:
    """A request's id as a file name: letters, digits and dashes. Raises UsageError otherwise."""
    if not name.replace("-", "").isalnum():
        raise UsageError(f"{name!r} is not the id of a request")
    return name


def _ask(owner: Owner, call: Call, kind: str, payload: dict[str, Any]) -> Answer:
    request_id = str(call.json().get("request_id") or uuid.uuid4())
    try:
        return owner.enqueue(kind, payload, request_id=request_id, asked_by="api")
    except StoreError as error:
        raise UsageError(str(error)) from error

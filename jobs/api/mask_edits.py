"""Routes for masks that people edited."""

from __future__ import annotations

import uuid
from typing import Any

from db.queries import mask_edits
from jobs import masks
from jobs.api.call import Call
from jobs.api.endpoints import Content
from jobs.owner import Owner

Answer = dict[str, Any]


def edits(owner: Owner, call: Call) -> Answer:
    """A page of the log of mask edits, oldest first; ?frame= for those of one image."""
    page = mask_edits.page_of_edits(
        owner.store, limit=call.limit, cursor=call.cursor, frame_digest=call.query.get("frame")
    )
    return {"rows": page.rows, "next": page.next}


def add_edit(owner: Owner, call: Call) -> Answer:
    """Write an edit, or an undo."""
    document = call.json()
    edit_id = str(document.get("edit_id") or uuid.uuid4())
    if "undoes" in document:
        undoes, editor = call.required("undoes", "editor")
        return owner.undo_mask_edit(undoes, editor, edit_id=edit_id)
    call.required("frame_digest", "action", "editor")
    call.number("threshold", low=0)
    return owner.describe_mask_edit(document, edit_id=edit_id)


def edited_frames(owner: Owner, call: Call) -> Answer:
    """A page of the images whose mask has edits that hold."""
    page = mask_edits.page_of_edited_frames(owner.store, limit=call.limit, cursor=call.cursor)
    return {"rows": page.rows, "next": page.next}


def edited_frame(owner: Owner, call: Call) -> Content:
    """The edited mask of one image as FITS: SCI, MASK, MODEL, JUDGED, PROB."""
    digest = call.path["id"]
    body = masks.mask_fits(owner.store, digest)
    return Content(body, "application/fits", f"mask-{digest[:16]}.fits")

"""The queues as the page names them, with what each is for."""

from __future__ import annotations

QUEUES = {
    "most_anomalous": ("Most anomalous", "Smallest p-value first, without what looks like an "
                       "artefact."),
    "most_interesting": ("Most interesting", "What your labels taught: batches of the best, some "
                         "to explore, some to calibrate."),
    "near_misses": ("Near misses", "Just short of being candidates: is the threshold right?"),
    "uncertain": ("Most uncertain", "Where methods and versions of the frame contradict each "
                  "other."),
    "disagree": ("Methods disagree", "Largest spread between the methods' percentiles first."),
    "random": ("Random audit", "A fixed shuffle of everything, artefacts too: what do we miss?"),
    "gold": ("Gold checks", "Detections of which the truth is known, to measure yourself."),
    "unseen": ("Not yet seen by me", "Newest first, without what you ever labelled or skipped."),
    "skipped": ("Skipped by me", "What you put off."),
    "adjudication": ("Adjudication", "Labellers disagree: your label settles it."),
}  # fmt: skip

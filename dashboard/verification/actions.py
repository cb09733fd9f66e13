"""What a labeller can do on the desk, with the key that each comes with."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from db.labels import HIGHEST_GRADE, KINDS

Group = Literal["kind", "grade", "flow", "look"]


@dataclass(frozen=True)
class Action:
    """One action: its name in the desk, what its button says, its key."""

    name: str
    word: str
    key: str
    group: Group

    def as_dict(self) -> dict[str, str]:
        """The action as the desk takes it."""
        return asdict(self)


KIND_WORDS = {
    "astrophysical": ("Astrophysical", "a"),
    "cosmic_ray": ("Cosmic ray", "r"),
    "codec_artefact": ("Codec artefact", "k"),
    "instrument": ("Instrument", "i"),
    "known_object": ("Known object", "n"),
    "boring": ("Boring", "b"),
    "unsure": ("Unsure", "u"),
}
_FLOW = (
    ("undo", "Undo", "z"),
    ("skip", "Skip", "s"),
    ("comment", "Comment", "c"),
    ("scores", "Scores", "v"),
    ("help", "Help", "?"),
    ("grid", "Grid", "g"),
    ("all", "All or none", "*"),
    ("select", "Select", " "),
    ("before", "Cell before", "ArrowLeft"),
    ("next", "Next cell", "ArrowRight"),
)
_LOOK = (
    ("stretch", "Next stretch", "t"),
    ("palette", "Next colour map", "m"),
    ("invert", "Invert", "x"),
    ("zoom_in", "Zoom in", "+"),
    ("zoom_out", "Zoom out", "-"),
    ("fit", "Fit", "f"),
)
ACTIONS = (
    *(Action(name, *KIND_WORDS[name], "kind") for name in KINDS),
    *(Action(f"grade_{n}", f"Interest {n}", str(n), "grade") for n in range(HIGHEST_GRADE + 1)),
    *(Action(*each, "flow") for each in _FLOW),
    *(Action(*each, "look") for each in _LOOK),
)

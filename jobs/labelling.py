"""What the owner does for labellers: write what they say, hand out, rank anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from db import gold, handouts, labels, preferences
from db.consensus import Rule
from db.handouts import Handed, Wish
from db.queries import verify
from db.store import Store
from jobs.labelling_settings import LabellingSettings
from jobs.ranking import Ranker

Row = dict[str, Any]
LEARNED = "most_interesting"
RANK_WITHIN_S = 5.0


def rule_of(settings: LabellingSettings) -> Rule:
    """The rule of consensus and retirement that the settings state."""
    return Rule(settings.label_least_votes, settings.label_share, settings.label_most_votes)


@dataclass(frozen=True)
class Labelling:
    """Every write of the Verify page and of the label routes goes through here."""

    store: Store
    settings: LabellingSettings
    clock: Callable[[], datetime]
    ranker: Ranker

    @classmethod
    def over(
        cls, store: Store, settings: LabellingSettings, clock: Callable[[], datetime]
    ) -> Labelling:
        """Over a store, with a ranker of its own."""
        return cls(store, settings, clock, Ranker(store, settings, clock))

    @property
    def rule(self) -> Rule:
        """When people have said enough of a detection."""
        return rule_of(self.settings)

    def say(self, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Write labels (arguments of `db.labels.add_label`), all or none; a known id changes
        nothing."""
        said = labels.add_labels(self.store, rows, self.clock())
        self.ranker.noticed()
        return said

    def undo(self, undoes: str, labeller: str, *, label_id: str) -> Row:
        """Take a label back by a further row; the same label_id does it once."""
        return self.undo_all([(undoes, label_id)], labeller)[0]

    def undo_all(self, undos: Sequence[tuple[str, str]], labeller: str) -> list[Row]:
        """Take labels back, all or none; each is paired with the label_id of its undo."""
        undone = labels.undo_labels(self.store, undos, labeller, self.clock())
        self.ranker.noticed()
        return undone

    def undo_last(self, labeller: str, *, label_id: str) -> Row | None:
        """Take back the latest label of a labeller that holds; None where there is none."""
        known = self.store.rows("SELECT * FROM labels WHERE label_id = ?", [label_id])
        if known:
            return known[0]
        last = verify.label_to_undo(self.store, labeller)
        return self.undo(last["label_id"], labeller, label_id=label_id) if last else None

    def hand_out(
        self, labeller: str, holder: str, queue: str, wanted: int, held: Sequence[str] = ()
    ) -> Handed:
        """Detections for one browser to show next, from a ranking that knows the last batch."""
        wish = Wish(
            labeller, holder, queue, wanted, tuple(held),
            gold_every=self.settings.label_gold_every, rule=self.rule,
            hold=timedelta(seconds=self.settings.label_hold_s),
        )  # fmt: skip
        if queue != LEARNED:
            return handouts.hand_out(self.store, wish, self.clock())
        self.ranker.settle(RANK_WITHIN_S)
        handed = handouts.hand_out(self.store, wish, self.clock())
        if not handed.detection_ids and not held and self._can_rank_on():
            self.ranker.ask("batch")
            self.ranker.settle(RANK_WITHIN_S)
            handed = handouts.hand_out(self.store, wish, self.clock())
        return handed

    def skip(self, labeller: str, holder: str, detection_id: str) -> None:
        """Put a detection off."""
        handouts.skip(self.store, labeller, holder, detection_id, self.clock())

    def take_skip_back(self, labeller: str, detection_id: str) -> None:
        """A detection that was put off is shown again."""
        handouts.take_skip_back(self.store, labeller, detection_id)

    def release(self, holder: str) -> None:
        """Give back what a browser holds."""
        handouts.release(self.store, holder)

    def set_gold(
        self, items: Sequence[tuple[str, str]], *, origin: str, set_by: str, note: str = ""
    ) -> int:
        """Keep the truth about detections; returns how many are new."""
        return gold.set_gold(
            self.store, items, origin=origin, set_by=set_by, now=self.clock(), note=note
        )

    def remove_gold(self, detection_id: str) -> None:
        """Forget that a detection is gold."""
        gold.remove_gold(self.store, detection_id)

    def keep_preferences(self, labeller: str, chosen: Mapping[str, Any]) -> None:
        """Remember how a labeller likes the page."""
        preferences.keep_preferences(self.store, labeller, chosen, self.clock())

    def close(self) -> None:
        """Stop ranking."""
        self.ranker.close()

    def _can_rank_on(self) -> bool:
        """There is no ranking yet, or it has not seen all labels."""
        return self.ranker.labels_since() > 0 or not self.store.rows(
            "SELECT 1 FROM rankings LIMIT 1"
        )

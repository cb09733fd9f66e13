"""When enough people have said enough of a thing: consensus, dispute, retirement."""

from __future__ import annotations

from dataclasses import dataclass

from db.errors import StoreError

STATES = ("open", "agreed", "disputed", "exhausted", "settled")


@dataclass(frozen=True)
class Rule:
    """Labels that a detection needs to be done with.

    agreed: at least `least_votes` accept or reject it, and the larger side has `share` of them;
    disputed: both sides have votes and neither has that share; exhausted: `most_votes` labels and
    no side; settled: somebody adjudicated. Agreed, settled and exhausted ones, and those disputed
    with `most_votes`, are retired: only the audit, gold checks and adjudication still show them.
    """

    least_votes: int = 2
    share: float = 2 / 3
    most_votes: int = 5

    def __post_init__(self) -> None:
        if not (1 <= self.least_votes <= self.most_votes and 0.5 < self.share <= 1):
            raise StoreError(
                "expected 1 <= least_votes <= most_votes and a share above 0.5 up to 1, got "
                f"{self.least_votes}, {self.most_votes}, {self.share}"
            )

    @property
    def params(self) -> list[int | float]:
        """What `STANDING` takes as its first three parameters."""
        return [self.least_votes, self.share, self.most_votes]


# One row a detection with labels. Parameters $1 to $3: the rule's.
STANDING = """
    votes AS (
        SELECT detection_id, count(*) AS n, count(*) FILTER (label = 'accept') AS accepts,
               count(*) FILTER (label = 'reject') AS rejects,
               bool_or(queue = 'adjudication') AS is_settled,
               min(labelled_at) AS first_at, max(labelled_at) AS last_at
        FROM counted_labels GROUP BY detection_id
    ),
    states AS (
        SELECT *, CASE
            WHEN is_settled THEN 'settled'
            WHEN accepts + rejects >= $1
                 AND greatest(accepts, rejects) >= $2 * (accepts + rejects) - 1e-9 THEN 'agreed'
            WHEN accepts > 0 AND rejects > 0 THEN 'disputed'
            WHEN n >= $3 THEN 'exhausted' ELSE 'open' END AS state
        FROM votes
    ),
    standing AS (
        SELECT *, state IN ('agreed', 'settled', 'exhausted')
                  OR (state = 'disputed' AND n >= $3) AS is_retired
        FROM states
    )
"""

"""Work on many jobs in steps of some seconds, so that whoever waits for it sees how far it is."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from collections_app.numbers import whole_number
from ingestion import bulk
from ingestion.bulk import Outcome
from ingestion.models import JobQuerySet

STEP_SECONDS = 2.0  # then the page comes, and goes on by itself
MOST_TOLD = 200  # refusals that are carried from step to step


class Step:
    """How far the work has come; it is carried in the page's form from one step to the next.

    ``refused`` holds number, name and reason of jobs that were left alone; ``newest`` the number of the last job that
    there was when somebody was asked.
    """

    def __init__(self, newest: int, after: int, done: int, left_alone: int, refused: list[list[Any]]) -> None:
        self.newest, self.after, self.done, self.left_alone, self.refused = newest, after, done, left_alone, refused
        self.outcomes: list[Outcome] = []  # of this step

    @classmethod
    def of(cls, form: Mapping[str, Any]) -> "Step":
        """As the form says; one that was tampered with only misleads who did it."""
        newest, after, done, left_alone = (
            whole_number(form.get(name, "")) for name in ("newest", "after", "done", "left_alone")
        )
        try:
            refused = json.loads(form.get("refused") or "[]")
        except (ValueError, RecursionError):
            refused = []
        return cls(
            bulk.newest() if newest is None else newest,
            -1 if after is None else after,
            done or 0,
            left_alone or 0,
            refused if is_list_of_refusals(refused) else [],
        )

    def work(self, verb: Callable[..., Iterator[Outcome]], jobs: JobQuerySet) -> bool:
        """Go on for some seconds; True when more is left to do.

        :param verb: one of ``bulk``, called with jobs and ``limit``
        """
        ends = time.monotonic() + STEP_SECONDS
        while True:
            batch = list(verb(jobs.filter(pk__gt=self.after), limit=bulk.AT_ONCE))
            for outcome in batch:
                self.note(outcome)
            if len(batch) < bulk.AT_ONCE:
                return False
            if time.monotonic() >= ends:
                return True

    def note(self, outcome: Outcome) -> None:
        self.after = outcome.job_id
        self.outcomes.append(outcome)
        if outcome.done:
            self.done += 1
            return
        self.left_alone += 1
        if len(self.refused) < MOST_TOLD:
            self.refused.append([outcome.job_id, outcome.job.original_filename, outcome.detail])

    @property
    def latest_done(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.done][-MOST_TOLD:]

    @property
    def form(self) -> list[tuple[str, str]]:
        """What the page's form carries, to be read by :meth:`of`."""
        numbers = {"newest": self.newest, "after": self.after, "done": self.done, "left_alone": self.left_alone}
        return [*((name, str(number)) for name, number in numbers.items()), ("refused", json.dumps(self.refused))]


def is_list_of_refusals(value: Any) -> bool:
    rows = value if isinstance(value, list) else [None]
    return all(isinstance(row, list) and len(row) == 3 and isinstance(row[0], int) for row in rows)

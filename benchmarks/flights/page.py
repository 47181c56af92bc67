"""The page about a year of flights: each month by each past, and what blocks."""

from __future__ import annotations

import calendar
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from run import Judged

    Found = Sequence[tuple[str, int, Judged, Judged]]
    """By past and month: as it is, and poisoned."""
    Days = tuple[Sequence[Judged], Mapping[str, Sequence[Judged]]]
    """Every day as it is; by carrier those in which it flipped labels."""


def page(found: Found, late: Sequence[float], days: Days, *, load: float) -> str:
    """Return the page.

    Args:
        found: All judgements.
        late: Share of late arrivals by month.
        days: Judgements of single days.
        load: Load average of the machine at the end.
    """
    pasts = list(dict.fromkeys(name for name, *_ in found))
    head = " | ".join(f"{name} | poisoned" for name in pasts)
    rows = "\n".join(_row(found, pasts, month, share) for month, share in enumerate(late, 1))
    reasons = "\n".join(_reasons(found)) or "None was blocked, and none warned."
    caught = [poisoned.verdict == "FAILED" for *_, poisoned in found]
    return f"""# A year of flights

Written by `python benchmarks/flights/run.py --write docs/flights.md`; load average {load:.1f} at
the end, which changes nothing here. The data are the 327,346 flights from New York in 2013 that
the demo uses, a batch a month, label: arrived more than 15 minutes late, contributor: the carrier.
`tests/attacks/labels/test_flights.py` judges months again and compares.

Every month is judged by the policy that `sluicegate policy init` writes, by three kinds of past,
as it is and with 3 % of its rows flipped by one carrier (UA). No signal is switched off and no
tolerance is set by hand. Seasons are large: {_percent(min(late))} of the flights are late in the
calmest month and {_percent(max(late))} in the worst; a gate that allowed five points around the
first quarter would block {_beyond(late)} of the nine months after it. What is tolerated is what
each baseline's own blocks, the weeks and months within it, did.

| month | late | {head} |
|---|---|{"---|" * 2 * len(pasts)}
{rows}

January has no past and cannot be judged: the gate could not check it, which blocks. A baseline
never judges a month that it holds.

{sum(caught)} of {len(caught)} poisoned months are blocked.

## By day

Each day of April and May (by UTC), judged by January to March: {_blocked(days[0])} of
{len(days[0])} are blocked as they are{_why(days[0])}. Of the ten days nearest to 900 flights, with
3 % of all labels turned round by one carrier, are blocked: {_by_carrier(days[1])}.

## What blocks or warns in a month as it is

{reasons}

## How to read it

- A baseline of **three months** knows three months of seasons. Where the next month leaves them,
  its budget is too narrow, and a person has to look: natural repeats (punctual flights share their
  values) are as much a season as lateness is. The **whole past** has seen more and is wider.
- One month is too little: against **January alone** the flips of February are within what January's
  own weeks did, and pass.
- A baseline that stays (**January to March**) does not follow a slow drift, and is what a slow
  poisoner cannot move. The gate can hold a batch against both (`docs/signals.md`,
  `sluicegate baseline promote`).
"""


def _blocked(judged: Sequence[Judged]) -> int:
    return sum(one.verdict == "FAILED" for one in judged)


def _why(judged: Sequence[Judged]) -> str:
    codes = Counter(one.codes[0] for one in judged if one.verdict == "FAILED")
    return f" ({', '.join(f'`{code}` {n}' for code, n in codes.most_common())})" if codes else ""


def _by_carrier(judged: Mapping[str, Sequence[Judged]]) -> str:
    return ", ".join(
        f"{carrier} {_blocked(days)} of {len(days)}" for carrier, days in judged.items()
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _beyond(late: Sequence[float]) -> int:
    quarter = sum(late[:3]) / 3
    return sum(abs(share - quarter) > 0.05 for share in late[3:])


def _row(found: Found, pasts: list[str], month: int, share: float) -> str:
    cells = [calendar.month_name[month], _percent(share)]
    for past in pasts:
        judged = [(c, p) for name, m, c, p in found if (name, m) == (past, month)]
        cells += [_cell(judged[0][0]), judged[0][1].verdict] if judged else ["-", "-"]
    return f"| {' | '.join(cells)} |"


def _cell(judged: Judged) -> str:
    said = f": {', '.join(f'`{code}`' for code in judged.codes)}" if judged.codes else ""
    return judged.verdict + said


def _reasons(found: Found) -> Iterator[str]:
    for past, month, clean, _ in found:
        for reason in clean.reasons:
            yield f"- {calendar.month_name[month]}, {past}: {reason}"

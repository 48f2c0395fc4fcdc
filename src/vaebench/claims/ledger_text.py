"""The ledger in words: its tables in Markdown, and what it says of tests, pairing and power."""

from collections.abc import Iterator, Sequence
from statistics import median

import pandas as pd

from vaebench.claims.judge import Verdict
from vaebench.claims.ledger import Judged, parts_of, verdict_counts
from vaebench.plain_text import escape

OTHER_TRAINING = "†"
AFTER_SEEING = "‡"
MARKS = {
    OTHER_TRAINING: (
        "rests on runs that were not trained as in the paper (another dataset, other epochs, "
        "another n), and does not decide its claim",
        "rest on runs that were not trained as in the paper (another dataset, other epochs, "
        "another n), and do not decide its claims",
    ),
    AFTER_SEEING: (
        "is on a claim that was written, or changed, when some of its runs had been seen; they "
        "count",
        "are on claims that were written, or changed, when some of their runs had been seen; "
        "these count",
    ),
}
"""What each mark says of a verdict, and of several."""


def to_markdown(tier: str, ledger: Sequence[Judged]) -> str:
    """The ledger as Markdown: the paper's claims that the tier bears on, and the tier's own."""
    of_paper, own, others = parts_of(ledger)
    text = f"# Claims, tier `{tier}`\n\n"
    if own:
        text += f"## Of the tier's config\n\n{_section(own)}"
    if of_paper:
        text += f"## Of the paper\n\n{_section(of_paper)}"
    if others:
        text += f"{others_text(others)}\n\n"
    powers = power_table([*own, *of_paper])
    if len(powers):
        text += f"## Power\n\n{POWER_TEXT} {pairing_text([*own, *of_paper])}\n\n{_md(powers)}\n\n"
    notes = "\n".join(f"- `{line.id}`: {line.statistic}" for line in [*own, *of_paper])
    return text + (
        "Intervals are Student's t, of the mean over seeds, or predict a single run where the "
        f"paper prints one. The statistics:\n\n{notes}\n"
    )


def others_text(others: int) -> str:
    """A sentence about the paper's claims that are not shown."""
    return (
        f"The paper's {others} other claims are about runs that this tier does not have, or "
        "quantities that it does not measure."
    )


def verdicts_text(lines: Sequence[Judged]) -> str:
    """How many claims are tested, how many verdicts survive a correction, and what marks mean."""
    return " ".join([_tests_text(lines), *_marks_texts(lines)])


def _tests_text(lines: Sequence[Judged]) -> str:
    tested = [line for line in lines if line.p is not None]
    decided = [line for line in tested if line.verdict != Verdict.INCONCLUSIVE]
    if not decided:
        return f"{_are(len(tested))} tested, and none is decided." if tested else "None is tested."
    survivors = {name: sum(name in line.survives for line in decided) for name in ("Holm", "BH")}
    return (
        f"{_are(len(tested))} tested, and {len(decided)} decided. Of these verdicts, "
        f"{survivors['BH']} survive Benjamini and Hochberg's correction for the number of tests, "
        f"and {survivors['Holm']} survive Holm's, which is stricter."
    )


def _are(count: int) -> str:
    return f"{count} {'is' if count == 1 else 'are'}"


def _marks_texts(lines: Sequence[Judged]) -> Iterator[str]:
    signs = "".join(mark(line) for line in lines)
    for sign, meaning in MARKS.items():
        if count := signs.count(sign):
            yield f"{count} verdict{'s' * (count > 1)} {meaning[count > 1]} ({sign})."


def pairing_text(lines: Sequence[Judged]) -> str:
    """What the pairing of runs by seed has brought."""
    paired = [line for line in lines if line.correlation is not None]
    if not paired:
        return ""
    correlations = [line.correlation for line in paired if line.correlation is not None]
    wider = sum(
        line.welch[1] - line.welch[0] > line.high - line.low
        for line in paired
        if line.welch and line.low is not None and line.high is not None
    )
    return (
        "Runs are paired by seed, which narrows an interval where the two sides correlate. They "
        f"correlate positively in {sum(r > 0 for r in correlations)} of {len(paired)} differences "
        f"(median {_number(median(correlations))}), and the paired interval is the narrower one in "
        f"{wider}."
    )


POWER_TEXT = (
    "What the seeds can decide. *Resolved* is half the width of the 95% interval. *Detectable* is "
    "the smallest distance from the limit that as many new seeds decide with a power of 80%."
)


def power_table(lines: Sequence[Judged]) -> pd.DataFrame:
    """Seeds, deviation and power of each claim that has an interval, as texts."""
    rows = [
        {
            "claim": line.id,
            "seeds": str(line.seeds),
            "std": _number(line.std),
            "resolved": _number((line.high - line.low) / 2),
            "detectable": _number(line.detectable),
            "unit": line.unit,
            "Welch's interval": f"[{_number(line.welch[0])}, {_number(line.welch[1])}]"
            if line.welch
            else "–",
            "correlation": _number(line.correlation),
        }
        for line in lines
        if line.interval == "Student's t" and line.low is not None and line.high is not None
    ]
    return pd.DataFrame(rows)


def survives_text(line: Judged) -> str:
    """The corrections that a verdict survives, for a column of a table."""
    is_tested = line.p is not None and line.verdict != Verdict.INCONCLUSIVE
    return (", ".join(line.survives) or "neither") if is_tested else "–"


def mark(line: Judged) -> str:
    """The mark of a verdict, after a space: see `MARKS`. Empty for a verdict without one."""
    if line.verdict == Verdict.NOT_RUN:
        return ""
    if line.source == "paper" and not line.as_in_paper:
        return f" {OTHER_TRAINING}"
    return f" {AFTER_SEEING}" if line.after_seeing else ""


def _section(lines: Sequence[Judged]) -> str:
    return f"{_counts(lines)}. {verdicts_text(lines)}\n\n{_table(lines)}\n\n"


def _counts(lines: Sequence[Judged]) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in verdict_counts(lines).items())


def _table(lines: Sequence[Judged]) -> str:
    table = pd.DataFrame(
        [
            {
                "claim": escape(line.id),
                "place": escape(line.place),
                "the paper says" if line.source == "paper" else "it says": escape(line.says),
                "paper": escape(line.paper) or "–",
                "ours": _number(line.value),
                "95% interval": "–"
                if line.low is None
                else f"[{_number(line.low)}, {_number(line.high)}]",
                "unit": escape(line.unit),
                "expected": escape(line.expects.replace("-", "−")),
                "verdict": f"**{line.verdict}**{mark(line)}",
                "survives": survives_text(line),
                "because": escape(line.reason),
                "runs": escape(line.runs) or "–",
            }
            for line in lines
        ]
    )
    if lines[0].source == "own":
        table = table.drop(columns=["place", "paper"])
    return _md(table)


def _md(table: pd.DataFrame) -> str:
    return str(table.to_markdown(index=False, disable_numparse=True))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}".replace("-", "−")

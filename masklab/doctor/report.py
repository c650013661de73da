"""What the doctor says: findings in plain words, the panels that show them, and what was checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from masklab import validate
from masklab.doctor.codes import CODES, ERROR, NOTE, SEVERITIES, WARNING, causes
from masklab.panels import Panel, Picture, clean, counted, one_line

SIGNS = {ERROR: "✗", WARNING: "!", NOTE: "·"}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that the doctor found.

    ``code`` names it, ``severity`` is "error", "warning" or "note", ``where`` are the positions in words; ``says``
    tells in one or two sentences what is wrong, ``fix`` is the line to change, ``source`` are public issues.
    """

    code: str
    severity: str
    where: str
    says: str
    fix: str
    source: str

    def __str__(self) -> str:
        """The finding in three or four lines."""
        head = f"{SIGNS[self.severity]} {self.severity} {self.code}" + f", {self.where}" * bool(self.where)
        lines = [head, f"    {self.says}", f"    Fix: {self.fix}", f"    Seen in: {self.source}" * bool(self.source)]
        return "\n".join(filter(None, lines))


def finding(code: str, says: str, *, where: str = "", severity: str | None = None, fix: str | None = None) -> Finding:
    """A finding with the severity, the line to change and the source that its code has, unless others are given.

    Words that come from outside (tokens, names) are cleaned. Raises ValueError for an unknown code or severity.

    >>> print(finding("nothing-supervised", "No position counts: the loss is NaN or 0, and nothing is learned."))
    ✗ error nothing-supervised
        No position counts: the loss is NaN or 0, and nothing is learned.
        Fix: assert (labels != -100).any()  # look for what turned every label into −100
        Seen in: huggingface/trl#598, #1191, #4147, pytorch/pytorch#70348
    """
    validate.one_of(tuple(CODES), code=code)
    usual = CODES[code]
    validate.one_of(SEVERITIES, severity=severity or usual.severity)
    return Finding(
        code=code, severity=severity or usual.severity, where=one_line(where), says=one_line(says),
        fix=clean(fix or usual.fix), source=usual.source,
    )  # fmt: skip


@dataclass(frozen=True, repr=False)
class Report:
    """What was found, the panels that show it, and what was checked, in a few words each.

    Findings come as `diagnosis` sorts them: errors first, then in the order of the checks.
    """

    findings: tuple[Finding, ...] = ()
    panels: tuple[Panel, ...] = ()
    checked: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is worse than a note."""
        return all(one.severity == NOTE for one in self.findings)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the findings, in their order."""
        return tuple(one.code for one in self.findings)

    @property
    def summary(self) -> str:
        """One line: how many errors, warnings and notes."""
        counts = {severity: sum(one.severity == severity for one in self.findings) for severity in SEVERITIES}
        return ", ".join(counted(count, severity) for severity, count in counts.items() if count) or "nothing found"

    @property
    def picture(self) -> Picture:
        """The panels as one picture, for `masklab.figures` and `masklab.view`."""
        first = self.findings[0].says if self.findings else "Nothing found."
        return Picture(panels=self.panels, summary=first)

    def raise_if_bad(self) -> None:
        """Raise AssertionError with the whole text if anything is worse than a note: for a test of your own."""
        if not self.ok:
            raise AssertionError(str(self))

    def __repr__(self) -> str:
        """The same text on every machine: what was found, and what was checked."""
        checked = f"Checked: {', '.join(self.checked)}." if self.checked else ""
        return "\n".join(filter(None, [f"Mask doctor: {self.summary}.", *map(str, self.findings), checked]))

    def _repr_html_(self) -> str:
        """The findings as a list, and under it the live panels, in a frame that needs neither kernel nor network."""
        from masklab.doctor.page import html  # only here: the view takes its time to import

        return html(self)


def diagnosis(findings: Iterable[Finding], panels: Sequence[Panel] = (), checked: Sequence[str] = ()) -> Report:
    """A report in which each cause stands once: symptoms of another finding are left out, and errors come first.

    >>> found = [finding("future-visible", "It sees the future."), finding("inverted", "It is inverted.")]
    >>> diagnosis(found).codes
    ('inverted',)
    """
    found = sorted(findings, key=lambda one: SEVERITIES.index(one.severity))  # stable: the order of the checks stays
    kept = causes([one.code for one in found], explaining=[one.code for one in found if one.severity != NOTE])
    ordered = [next(one for one in found if one.code == code) for code in kept]
    return Report(tuple(ordered), tuple(panels), tuple(dict.fromkeys(checked)))


def merged(reports: Iterable[Report]) -> Report:
    """Several reports as one; panels that share a name are numbered.

    >>> merged([Report(checked=("the mask",)), Report(checked=("the loss",))])
    Mask doctor: nothing found.
    Checked: the mask, the loss.
    """
    reports = list(reports)
    panels: list[Panel] = []
    for panel in (panel for one in reports for panel in one.panels):
        twins = sum(other.name.split("#")[0] == panel.name for other in panels)
        panels.append(replace(panel, name=f"{panel.name}#{twins + 1}") if twins else panel)
    findings = [one for each in reports for one in each.findings]
    return diagnosis(findings, panels, [what for one in reports for what in one.checked])

"""A report: causes once, errors first, the same words on every machine, and no text of a stranger's runs in a page."""

import itertools
import sys

import pytest
import torch

from masklab.doctor import CODES, Report, check_mask, diagnosis, finding, merged
from masklab.doctor.codes import SEVERITIES, SYMPTOMS
from masklab.panels import Panel

MASK = Panel(
    name="mask", kind="bool", values=torch.eye(2, dtype=torch.bool), rows=["</iframe><script>", "b"], columns="ab",
    title="who may attend", meaning="True = may attend.",
)  # fmt: skip


def test_every_code_of_the_issue_is_there_and_says_what_to_change():
    asked = """inverted future-visible off-by-one empty-row pad-visible over-blocked float-01 weak-bias ambiguous-shape
        non-finite depends-on-padding depends-on-pad-side batch-leak document-leak train-eval-differ misaligned-cache
        unshifted double-shift nothing-supervised pad-supervised eos-unsupervised uneven-weights"""
    assert set(CODES) == {*asked.split(), "undecided"}
    for name, code in CODES.items():
        assert code.severity in SEVERITIES and code.fix and (code.source or name == "undecided")


def test_symptoms_are_codes_and_no_code_explains_itself_in_a_circle():
    for code, symptoms in SYMPTOMS.items():
        assert {code, *symptoms} <= set(CODES) and code not in symptoms
        assert not [symptom for symptom in symptoms if code in SYMPTOMS.get(symptom, ())]


def test_errors_come_first_then_the_order_of_the_checks():
    found = [finding("over-blocked", "a"), finding("empty-row", "b"), finding("weak-bias", "c"),
             finding("pad-visible", "d")]  # fmt: skip
    assert diagnosis(found).codes == ("empty-row", "pad-visible", "weak-bias", "over-blocked")


@pytest.mark.parametrize("order", list(itertools.permutations(["inverted", "future-visible", "empty-row"])))
def test_a_cause_stands_once_whatever_the_order(order):
    assert diagnosis([finding(code, code) for code in order]).codes == ("inverted",)


def test_a_note_is_ok_and_what_is_worse_is_not():
    diagnosis([finding("over-blocked", "It sees less than it may.")]).raise_if_bad()
    bad = diagnosis([finding("over-blocked", "It sees less.", severity="warning")])
    assert not bad.ok
    with pytest.raises(AssertionError, match="It sees less"):
        bad.raise_if_bad()


def test_the_text_says_all_there_is():
    report = diagnosis([finding("inverted", "It is inverted.", where="all rows")], checked=["polarity", "polarity"])
    assert str(report) == repr(report) == (
        "Mask doctor: 1 error.\n"
        "✗ error inverted, all rows\n"
        "    It is inverted.\n"
        f"    Fix: {CODES['inverted'].fix}\n"
        f"    Seen in: {CODES['inverted'].source}\n"
        "Checked: polarity."
    )  # fmt: skip
    assert str(Report()) == "Mask doctor: nothing found."


def test_a_strangers_words_are_cleaned_and_escaped():
    report = diagnosis([finding("inverted", "<b>\x1b[31m\u202e", where="<i>")], [MASK])
    page = report._repr_html_()
    assert "\x1b" not in str(report) and "\u202e" not in str(report)
    assert "<b>�" not in page and "&lt;b&gt;�" in page and "&lt;i&gt;" in page
    frame = page[page.index("<iframe") : page.index("</iframe>")]
    assert frame.count("<") == 1 and 'sandbox="allow-scripts"' in frame, "only the frame's own tags are tags"


def test_a_report_without_panels_has_no_frame():
    assert "<iframe" not in Report()._repr_html_()


def test_merged_reports_number_the_panels_that_share_a_name():
    one = diagnosis([finding("over-blocked", "a")], [MASK])
    both = merged([one, diagnosis([finding("empty-row", "b")], [MASK]), one])
    assert [panel.name for panel in both.panels] == ["mask", "mask#2", "mask#3"]
    assert both.codes == ("empty-row", "over-blocked")
    assert "mask#2" in both._repr_html_()


def test_an_unknown_code_or_severity_is_refused():
    with pytest.raises(ValueError, match="code must be"):
        finding("upside-down", "")
    with pytest.raises(ValueError, match="severity must be"):
        finding("inverted", "", severity="fatal")


def test_a_note_explains_nothing_away():
    by_design = finding("depends-on-padding", "A recurrent network can't help it.", severity="note")
    real = finding("depends-on-pad-side", "It changes with padding on the left.")
    assert diagnosis([by_design, real]).codes == ("depends-on-pad-side", "depends-on-padding")
    assert diagnosis([finding("depends-on-padding", "It does."), real]).codes == ("depends-on-padding",)


def test_without_the_views_packages_the_words_are_shown(monkeypatch):
    report = check_mask(torch.ones(3, 3, dtype=torch.bool), causal=True)
    monkeypatch.setitem(sys.modules, "masklab.view", None)
    html = report._repr_html_()
    assert "future-visible" in html and "pip install" in html and "<iframe" not in html

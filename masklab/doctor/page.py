"""A report as HTML: escaped words, and the live panels in a frame of their own."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from masklab.doctor.report import Report

ROW, AROUND, HIGHEST = 27, 110, 1000  # pixels: of a row of cells, of what is around a panel, of the whole frame


def html(report: Report) -> str:
    """The findings as a list, what was checked, and the panels; every word from outside is escaped.

    >>> from masklab.doctor.report import diagnosis, finding
    >>> "&lt;script&gt;" in html(diagnosis([finding("inverted", "<script> is inverted.")]))
    True
    """
    found = "".join(
        f"<li><b>{escape(f'{one.severity} {one.code}')}</b>{escape(f', {one.where}' * bool(one.where))}<br>"
        f"{escape(one.says)}<br>Fix: <code style='white-space:pre-wrap'>{escape(one.fix)}</code><br>"
        f"<small>{escape(one.source)}</small></li>"
        for one in report.findings
    )
    checked = f"<p><small>Checked: {escape(', '.join(report.checked))}.</small></p>" if report.checked else ""
    return f"<div><p><b>Mask doctor: {escape(report.summary)}.</b></p><ul>{found}</ul>{checked}{_frame(report)}</div>"


def _frame(report: Report) -> str:
    """The panels as they are in a lab, in a frame from which nothing reaches the page around it."""
    if not report.panels:
        return ""
    try:
        from masklab.view import MatrixView, plain_page
    except ModuleNotFoundError as error:  # the doctor itself needs no more than torch
        return f"<p>The matrices need a package: <code>pip install {escape(error.name or 'anywidget')}</code></p>"
    view = MatrixView(label="mask doctor")
    view.show(report.picture)
    page = plain_page.html(view).replace("<h1 ", "<h1 hidden ", 1)  # the report has its own heading
    view.close()
    each = [AROUND + ROW * len(panel.rows) for panel in report.panels]  # in a narrow page one is below the other
    height = min(HIGHEST, AROUND + sum(each))
    style = f"width:100%;height:{height}px;border:0"
    return f'<iframe title="mask doctor" sandbox="allow-scripts" style="{style}" srcdoc="{escape(page)}"></iframe>'

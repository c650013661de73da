"""The mask doctor: one diagnosis from the mask, the model and the loss.

`check_mask` looks at a mask, `check_model` at what a model's outputs depend on, `check_loss` at what a loss teaches.
Each returns a `Report`.
"""

from masklab.doctor.codes import CODES
from masklab.doctor.loss import check_loss
from masklab.doctor.model import check_model
from masklab.doctor.report import Finding, Report, diagnosis, finding, merged
from masklab.doctor.static import check_mask

__all__ = [
    "CODES", "Finding", "Report", "check_loss", "check_mask", "check_model", "diagnosis", "finding", "merged",
]  # fmt: skip

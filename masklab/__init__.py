"""masklab: what stands behind the lessons on masking in sequence models.

One convention inside: a mask is bool, True = may attend; axes are
(batch, head, query, key). Import the module you need, for example
``from masklab import masks``. Nothing heavy is loaded before that.
"""

__version__ = "0.1.0"

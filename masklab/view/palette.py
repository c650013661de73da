"""The colours of the live view, in one place: anchors at equal steps, from the lowest value to the highest.

They are matplotlib's cividis and PuOr, both legible to colour-blind readers; a
test compares them. The page draws straight lines between the anchors.
"""

PALETTE = {
    "unit": [  # cividis, for values from 0 to 1
        "#00224e", "#003170", "#2a3f6d", "#434e6c", "#575d6d", "#6a6c71", "#7d7c78",
        "#918b78", "#a59c74", "#bcae6c", "#d2c060", "#e9d34e", "#fee838",
    ],
    "signed": [  # PuOr, for values on both sides of 0
        "#7f3b08", "#b25706", "#e08214", "#fcb761", "#fee0b6", "#f6f6f7",
        "#d8daeb", "#b1aad1", "#8073ac", "#532687", "#2d004b",
    ],
}  # fmt: skip

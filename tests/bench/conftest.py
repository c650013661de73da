"""The files in cells/ are cells of notebooks: running them is the bench's work, not the tests'."""

collect_ignore = ["cells"]

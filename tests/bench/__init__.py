"""`make bench`: how fast the lab answers, what masklab costs to import, how long each notebook takes."""

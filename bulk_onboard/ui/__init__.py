"""A page on the user's own machine: from a spreadsheet to a report, by pointing at things.

`server` serves it and lets nobody else in, `session` is the way of one file, `grid` what is seen of its
cells, `live_run` a run as it goes, and `library` all that is asked of the rest of the package.
"""

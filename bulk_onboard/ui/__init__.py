"""A page on the user's own machine: from a spreadsheet to a report, by pointing at things.

`server` serves it to one browser, `session` is the way of one file, `grid` what is seen of its cells,
`live_run` a run in progress, and `library` makes all calls to the rest of the package.
"""

"""Scans of any size: the same pure functions on files, whatever runs them: this process, or a cluster.

`stages` are the functions, `engine` what runs them, `scan` puts them in order. A stage reads files, writes one, whole
or not at all, and gives the same bytes wherever and how often it runs.
"""

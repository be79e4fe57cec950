"""HTML pages about runs and sweeps, one or a folder of all: files that need nothing else, no network, no gdrun.

make.py                run -> page -> file
page.py                the sections of a page
sections.py            facts as titles and rows, for the page and for `gdrun show`
site.py                a page for each run, and an index

The document itself, its style, its script and the pictures are in `gdrun.plots`.
"""

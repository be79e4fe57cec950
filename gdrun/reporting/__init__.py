"""One HTML page about a run or a sweep: a file that needs nothing else, no network and no gdrun.

make.py                           run -> page -> file
page.py page.css script/          the document; the script draws the curves and sorts the table
sections.py                       facts as titles and rows, for the page and for `gdrun show`
figures.py                        the curves as data for the script
markup.py                         HTML from texts that may hold anything
"""

"""How good a served bundle is on labelled pictures, as a page for people and as JSON.

    bundle, label file -> cases -> pipeline and engine that serve -> tally of each picture
                                                                       |  (kept: resumes)
    report.html, report.json <- document <- figures, strata, false alarms, calibration, ...

What is scored is what a caller gets: the instances of the findings, after the smallest were
dropped, of classes that are called present. No torch is needed, and none is imported.
"""

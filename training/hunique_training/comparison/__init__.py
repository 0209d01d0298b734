"""Methods and ablations side by side, on one network, data and schedule: one table.

    rows x seeds -> a run folder each -> its figures on `val` -> table.csv, table.md

A row that is finished is not run again, one that broke off goes on, one that fails leaves the
others, and the table is written anew after each. Several data sets make one table together.
"""

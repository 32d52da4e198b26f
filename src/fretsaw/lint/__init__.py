"""Finds in manifests what will cost money or sleep, and proves it with the engine where that is possible.

    found      what a rule answers, and what becomes of it with file and line
    rule       a rule: code, severity, what it looks at, and the page that its module's docstring is
    rules/     one file for each rule
    input      all that was read, as views, and how the objects hang together
    views      what rules look at: Pool, NodeClass, Disruption, Work, Query, Thing
    placing    which pool buys a node for a pod
    market     what a set of requirements can buy: the engine's answer, with prices
    allow      comments that allow a finding, with a reason
    edit       changes in the text of a file that leave comments, order and quotes alone
    run        all rules over all views
    formats    findings as JSON, SARIF and GitHub annotations
    reference  the pages of docs/rules

`fretsaw.lint.run.lint` is the way in.
"""

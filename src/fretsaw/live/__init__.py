"""Reads a live cluster and never writes to it: for `plan --live`, `snapshot`, `explain` and `top`.

    reading    every object of every kind that Fretsaw reads, once, as the server gives it
    clean      what nobody plans with, and what may be secret, taken out
    snapshot   a reading as one file
    objects    a reading as manifests, alone or with files on top
    judgement  a machine as the disruption loop sees it
    watching   the same objects kept up to date
    board      what of them is worth a look

Errors are UserError for what the user can mend, and those of `kube.errors` for what the server does.
"""

"""Many runs of scenarios: on the same seeds, side by side on all cores, summed up with what chance allows to say.

`task` is one run, `pool` and `ray` are where runs happen, `override` changes a scenario before it runs, `figures` are
what is kept of a run, `comparison` and `sweep` put runs together, `conditions` judge them.
"""

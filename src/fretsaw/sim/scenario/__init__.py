"""A scenario: a YAML file that says what the virtual cluster is, what happens in it, and what is expected of it.

`model`, `cloud` and `faults` are what it says, `read` reads it with all its problems at once, `schema` describes it to
editors, `expect` checks a run's result against it.
"""

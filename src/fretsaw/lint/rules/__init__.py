"""The rules, one file each: the docstring is the rule's page, `docs/rules` is made from it."""

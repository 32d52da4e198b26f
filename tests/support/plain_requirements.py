"""Label requirements the plain way: a key's set is the list of its expressions, and every question tries values.

Twin of `engine.requirement` and `engine.requirements`, written from the documented rules alone. Whether a set is empty is
found out by trying the values that it names, the integers at its bounds, and one value that nobody names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

Rule = tuple[str, tuple[str, ...]]
"""(operator, values)."""
Rules = tuple[Rule, ...]
"""All of them have to hold; none of them: any value will do."""
Needs = dict[str, Rules]
"""The rules of each key."""
FRESH = "a-value-that-nobody-names"


def number(text: str) -> int | None:
    """The 64-bit integer that a text spells, with or without a sign."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.isdigit()):
        return None
    found = -int(digits) if text[0] == "-" else int(digits)
    return found if -(2**63) <= found < 2**63 else None


def holds(rule: Rule, value: str) -> bool:
    """Whether a label value satisfies one expression."""
    operator, values = rule
    if operator == "In":
        return value in values
    if operator == "NotIn":
        return value not in values
    if operator in ("Exists", "DoesNotExist"):
        return operator == "Exists"
    mine, limit = number(value), int(values[0])
    if mine is None:
        return False
    return {"Gt": mine > limit, "Lt": mine < limit, "Gte": mine >= limit, "Lte": mine <= limit}[operator]


def has(rules: Iterable[Rule], value: str) -> bool:
    """Whether a label value satisfies all expressions."""
    return all(holds(rule, value) for rule in rules)


def probes(rules: Iterable[Rule]) -> set[str]:
    """Values of which one satisfies the rules if any value does."""
    found = {FRESH}
    for operator, values in rules:
        found.update(values)
        if operator in ("Gt", "Lt", "Gte", "Lte"):
            for near in range(int(values[0]) - 1, int(values[0]) + 2):
                found.add(("-" if near < 0 else "") + "0" * 30 + str(abs(near)))
    return found


def is_empty(rules: Rules) -> bool:
    """Whether no value satisfies the rules."""
    return not any(has(rules, value) for value in probes(rules))


def listed(rules: Rules) -> list[str] | None:
    """The values that are left where the rules list them, sorted; None where they only rule values out."""
    if is_empty(rules):
        return []
    choices = [values for operator, values in rules if operator == "In"]
    return sorted(v for v in set(choices[0]) if has(rules, v)) if choices else None


def absence_will_do(rules: Rules) -> bool:
    """Whether a node without the label qualifies: nothing is left, or values are ruled out that the bounds would allow."""
    if listed(rules) is not None:
        return is_empty(rules)
    bounds = [rule for rule in rules if rule[0] in ("Gt", "Lt", "Gte", "Lte")]
    return any(has(bounds, v) for operator, values in rules if operator == "NotIn" for v in values)


def overlap(a: Rules, b: Rules) -> bool:
    """Whether a value satisfies both."""
    return not is_empty((*a, *b))


def merged(needs: Needs, more: Needs) -> Needs:
    """Both at once; expressions that are there already are not repeated."""
    found = dict(needs)
    for key, rules in more.items():
        found[key] = tuple(dict.fromkeys((*found.get(key, ()), *rules)))
    return found


def of_labels(labels: Mapping[str, str]) -> Needs:
    """A node's labels."""
    return {key: (("In", (value,)),) for key, value in labels.items()}


def conflict(needs: Needs, wanted: Needs, may_be_absent: Collection[str] | None = ()) -> str | None:
    """The first key for which `wanted` cannot be had beside `needs`; None when it can.

    may_be_absent: keys that need not be defined yet; None: no key has to be.
    """
    if may_be_absent is not None:
        for key, rules in sorted(wanted.items()):
            if key not in needs and key not in may_be_absent and not absence_will_do(rules):
                return key
    for key, rules in sorted(wanted.items()):
        mine = needs.get(key)
        if mine is None or overlap(mine, rules):
            continue
        if not (absence_will_do(mine) and absence_will_do(rules)):
            return key
    return None

"""The benchmark: Fretsaw and Karpenter's scheduler on the same inputs in the same run (`python -m bench`)."""

"""What the pods of a scenario do: how they behave, what load they bear, and what work comes."""

"""A run as JSON lines: what the engine was told, what it wanted, and what else happened. See `codec` for the lines."""

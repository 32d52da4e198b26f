"""The horizontal pod autoscaler: `algorithm` and `behavior` decide, `controller` looks and writes."""

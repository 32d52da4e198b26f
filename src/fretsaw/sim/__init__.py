"""A virtual cluster in virtual time: Kubernetes, its nodes and EC2, around the engine that also runs in production."""

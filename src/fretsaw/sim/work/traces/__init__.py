"""Recordings of real clusters, read line by line: each adapter gives objects with times, or a curve of requests."""

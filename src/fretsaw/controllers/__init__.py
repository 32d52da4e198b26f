"""The controllers of `fretsaw run`: a live cluster's events in, the actions of the engine's turns out."""

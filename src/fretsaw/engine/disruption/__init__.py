"""Which machines are taken away on purpose, when, and what replaces them. Pure: state in, actions and notes out."""

"""The maker of the vectors: `python -m consilience_conformance.vectors.generator` writes every file anew.

Each module named after a file makes that file. Everything is fixed, seeds and times too, so two runs write the same
bytes, and a test compares them with what is kept.
"""

"""The wire messages and services of `consilience.v1`, generated from `proto/consilience/v1`.

Import the module of the noun you need, `from consilience.v1 import ask_pb2`; this package imports none of them.
"""

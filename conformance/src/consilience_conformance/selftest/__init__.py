"""The self-test: the judge is judged by nodes that are wrong in one known thing.

Every mutant of the reference node, and every degenerate node, is served by a process or a socket of its own and judged
as any node is. A judge that lets one pass, or faults it for something else, is not fit to certify anybody.
"""

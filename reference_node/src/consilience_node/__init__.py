"""The reference node: a local model and your documents, served to your peers.

Two ways to run one::

    consilience-node serve
    consilience-node serve --knowledge ./handbook

Start reading at `app`, which puts everything together: configuration -> engines -> skills -> `consilience.server.Node`.
"""

__version__ = "0.1.0"

"""Knowledge: a folder of documents, or a dictionary, that a node answers from and cites.

The way of a question, one module per step::

    sources   -> documents, dictionary, chunks -> index     built when the sources change
    question  -> retrieval, topic -> prompt                 what may answer it, and is it about that at all
    gate                                                    answer, bare quote or abstention
    calibration, confidence                                 how often answers like this one were right

Nothing here runs a model or knows the wire. Sources are written by strangers: their text is only ever data, in a
prompt as in a query.
"""

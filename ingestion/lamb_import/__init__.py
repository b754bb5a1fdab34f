"""Brings an existing LAMB KB server over: its database, its files and its Chroma vectors. See docs/import-lamb.md.

``source`` and ``vectors`` read what LAMB left, ``linking`` says which chunk came from which file, ``target`` and
``files`` write here, ``report`` keeps what was odd, and ``run`` is the order of it all.
"""

"""The only room that imports gufe: keyed chains, running a ProtocolDAG, gathering results, gufe's two lines.

Importing this package is free; its modules import gufe.
"""

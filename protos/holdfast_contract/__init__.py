"""What processes must agree on and protobuf cannot say: names, paths, order, digests, packs, limits.

Imports the standard library and blake3 only. Every rule has one function here, called by all three processes.
"""

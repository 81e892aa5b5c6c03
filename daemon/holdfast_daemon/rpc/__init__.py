"""Servicers: unpack a request, call the pipeline, pack the answer."""

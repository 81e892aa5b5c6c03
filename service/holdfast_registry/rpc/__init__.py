"""The wire: servicers that unpack a call, make it, and pack the answer."""

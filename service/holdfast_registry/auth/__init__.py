"""Who may call: tokens, stored as digests."""

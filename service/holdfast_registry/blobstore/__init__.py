"""Where packs lie."""

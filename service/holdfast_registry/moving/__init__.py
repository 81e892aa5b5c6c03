"""Moving and saving a registry: migrate, copy, backup, restore, and the index made anew from the store."""

"""The registry's metadata: one repository method is one transaction."""

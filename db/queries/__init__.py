"""Questions to the store: every number that a page or the API shows comes from here."""

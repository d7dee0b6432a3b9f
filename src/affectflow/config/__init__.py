"""The study's config: checked against its schema, with a hint for every mistake."""

"""What MkDocs runs when it builds the documentation site."""

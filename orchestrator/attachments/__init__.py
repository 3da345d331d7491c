"""Files of the owner, of tools and of models: kept, named, signed for and taken away again."""

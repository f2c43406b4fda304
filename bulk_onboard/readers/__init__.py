"""Reading files: from bytes to chunks of text cells."""

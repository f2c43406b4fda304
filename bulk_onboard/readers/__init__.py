"""Reading inputs: from bytes to chunks of text cells. `inputs.open_source` is where to begin."""

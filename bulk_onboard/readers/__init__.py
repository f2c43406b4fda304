"""Reading inputs: from bytes to chunks of text cells. Start with `inputs.open_source`."""

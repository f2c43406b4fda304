"""The command line: options become frozen settings; events of a run become log lines and a bar."""

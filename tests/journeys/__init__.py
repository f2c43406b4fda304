"""The whole program against a real server, as its users meet it: files in, files and exit codes out."""

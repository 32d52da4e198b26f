"""The command line: arguments and exit codes, and nothing that another layer could decide."""

"""What every room uses and no user imports: streams, processes, paths, files, text."""

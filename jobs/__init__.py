"""When things happen: cycle, scheduler, sources, catalogues, the owner and the command line."""

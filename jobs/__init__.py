"""When things happen: the discovery cycle, scheduler, sources, catalogues, the owner and the command line."""

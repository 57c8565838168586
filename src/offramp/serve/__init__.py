"""A model behind a port: protocol, batches, streams, and what watches them."""

"""The embedded stack: an object store, a Prefect server and a worker on the loopback address, started and stopped."""

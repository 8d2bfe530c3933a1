"""The stages and queues of a pipeline, made from the configuration and checked before anything runs."""

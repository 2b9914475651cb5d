"""Rights of buckets, queues and secret stores, as files for the tools that write them there. Pure."""

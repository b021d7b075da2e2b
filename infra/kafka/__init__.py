"""A real Apache Kafka for tests and demonstrations, from Maven artifacts and a plain JDK.

Here: fetching the jars, writing server.properties, starting, watching and ending brokers. Not here: anything
that reads or writes records (pipelines/ingest/kafka), and nothing meant for production.
"""

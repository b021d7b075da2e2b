"""The lake: Delta tables of Parquet files, in which progress is committed together with the rows."""
